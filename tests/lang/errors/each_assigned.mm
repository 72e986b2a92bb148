wasi:sockets/tcp#tcp-socket.start-connect:before { for x in data { x = 1; } }

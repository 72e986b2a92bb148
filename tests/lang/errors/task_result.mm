wasi:sockets/tcp#tcp-socket.start-connect:cancel { print("{}", result); }

wasi:sockets/tcp#a#b:before { }

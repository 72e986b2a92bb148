wasi:sockets/tcp#*:before { self = 1; }

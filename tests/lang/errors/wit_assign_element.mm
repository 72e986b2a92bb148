wasi:sockets/tcp#*:before { data[0] = 1; }

wasi:sockets/tcp#*:before { data = 1; }

wasi:sockets/tcp#*:after { count = 1; }

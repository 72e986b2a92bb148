wasi:sockets/tcp#*:before { count = "a"; }

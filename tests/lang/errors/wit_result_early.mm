wasi:sockets/tcp#*:before / result is ok / { }

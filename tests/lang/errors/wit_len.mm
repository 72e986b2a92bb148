wasi:sockets/tcp#*:before / len(count) == 1 / { }

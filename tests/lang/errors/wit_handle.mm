wasi:sockets/tcp#*:before / handle(count) == 1 / { }

wasi:sockets/tcp#*:before / data["a"] == 1 / { }

wasi:sockets/tcp#*:before / name == count / { }

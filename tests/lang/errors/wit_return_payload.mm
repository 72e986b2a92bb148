wasi:sockets/tcp#*:alt { return ok; }

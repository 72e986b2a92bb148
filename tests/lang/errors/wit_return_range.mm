wasi:sockets/tcp#*:alt { return ok(-1); }

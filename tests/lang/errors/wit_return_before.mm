wasi:sockets/tcp#*:before { return ok(1); }

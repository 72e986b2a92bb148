wasi:sockets/tcp#*:alt { return; }

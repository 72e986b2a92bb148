wasi:sockets/tcp#*:alt { fail(name); }

wasi:sockets/tcp#*:around { }

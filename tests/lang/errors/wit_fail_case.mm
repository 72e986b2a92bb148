wasi:sockets/tcp#*:alt { fail("time-out"); }

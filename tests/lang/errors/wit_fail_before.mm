wasi:sockets/tcp#*:before { fail("timeout"); }

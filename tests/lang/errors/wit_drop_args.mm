wasi:sockets/tcp#*:before { drop_args(); }

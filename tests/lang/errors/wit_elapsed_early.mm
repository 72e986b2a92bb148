wasi:sockets/tcp#*:before { print("{}", elapsed); }

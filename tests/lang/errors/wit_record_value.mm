wasi:sockets/tcp#*:before { print("{}", remote_address.ipv4); }

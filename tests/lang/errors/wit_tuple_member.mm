wasi:sockets/tcp#*:before / remote_address.ipv4.address.4 == 1 / { }

wasi:sockets/tcp#*:before / remote_address.ipv4.prot == 80 / { }

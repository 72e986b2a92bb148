wasi:sockets/tcp#*:before / remote_address.unknown == 1 / { }

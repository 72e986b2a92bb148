wasi:sockets/tcp#*:before / remote_address is ipv5 / { }

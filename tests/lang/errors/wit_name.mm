wasi:sockets/tcp#*:before / remot_address is ipv4 / { }

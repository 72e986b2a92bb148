wasi:sockets/tcp#*:before / remote_address == 1 / { }

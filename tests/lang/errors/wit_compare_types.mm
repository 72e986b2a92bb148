wasi:sockets/tcp#*:before / remote_address == maybe / { }

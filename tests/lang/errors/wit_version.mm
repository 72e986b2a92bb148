wasi:sockets/tcp@latest#*:before { }

wit:exprt:wasi:sockets/tcp#*:before { }

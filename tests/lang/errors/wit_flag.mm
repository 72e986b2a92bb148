wasi:sockets/tcp#*:before / modes has "raed" / { }

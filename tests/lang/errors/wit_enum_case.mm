wasi:sockets/tcp#*:after / result.error == "acces-denied" / { }

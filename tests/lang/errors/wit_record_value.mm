wasi:sockets/tcp#*:before { delay(remote_address.ipv4); }

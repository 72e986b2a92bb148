// sockets: whom the component connects to, looks up, listens for, and what fails.
report var connects: map<(u8, u8, u8, u8, u16), u32>;
report var failures: u32;

?wasi:sockets/ip-name-lookup#resolve-addresses:before { print("look up {}", name); }

?wasi:sockets/{tcp,types}#tcp-socket.{start-connect,connect}:before / remote_address is ipv4 / {
    var port: u16 = remote_address.ipv4.port;
    var a: u8 = remote_address.ipv4.address.0;
    var b: u8 = remote_address.ipv4.address.1;
    var c: u8 = remote_address.ipv4.address.2;
    var d: u8 = remote_address.ipv4.address.3;
    connects[(a, b, c, d, port)]++;
    print("connect to {}.{}.{}.{}:{}", a, b, c, d, port);
}
?wasi:sockets/{tcp,types}#tcp-socket.{start-connect,connect}:before / remote_address is ipv6 / {
    print("connect to IPv6 port {}", remote_address.ipv6.port);
}
?wasi:sockets/{tcp,types}#tcp-socket.{start-bind,bind}:before / local_address is ipv4 / {
    print("bind to port {}", local_address.ipv4.port);
}
wasi:sockets/*#*:after / is_err / {
    failures++;
    print("{} failed", func);
}

report var m: map<str, u32>;
wasi:sockets/tcp#*:before { m[count]++; }

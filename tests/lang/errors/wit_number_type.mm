wasi:sockets/tcp#*:before { var x: i32 = count; }

wasi:sockets/tcp#*:alt { var x: i32 = proceed(); }

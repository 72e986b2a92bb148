var connects: u32;
wasi:sockets/tcp#tcp-socket.start-connect:alt {
    connects++;
    if (connects % 3 == 0) { fail("connection-refused"); }
}

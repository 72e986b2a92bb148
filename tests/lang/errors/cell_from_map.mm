wasm:opcode:call:before {
    report var m: map<u32, i32>;
    report var r: i32 = m[1];
}

var t: (i32, i32);
wasm:opcode:call:before { t = (1, 2, 3); }

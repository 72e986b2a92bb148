var t: (i32, i32);
wasm:opcode:call:before { print("{}", t); }

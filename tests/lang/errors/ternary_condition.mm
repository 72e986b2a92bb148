var i: i32;
wasm:opcode:call:before { i = 1 ? 2 : 3; }

var x: i32 = 1.5;
wasm:opcode:call:before { }

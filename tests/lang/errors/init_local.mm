wasm:opcode:call:before { var p: i32 = 1; unshared var x: i32 = p; }

var x: i32;
wasm:opcode:call:before { x = fname as i32; }

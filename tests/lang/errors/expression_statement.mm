var x: i32;
wasm:opcode:call:before { x; }

var x: i32;
wasm:opcode:call:alt { x = drop_args(); }

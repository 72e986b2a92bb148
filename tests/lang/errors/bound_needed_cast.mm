var x: i64;
wasm:opcode:call:before { x = arg1 as i64; }

var x: i64;
wasm:opcode:call:before { x = hist(3); }

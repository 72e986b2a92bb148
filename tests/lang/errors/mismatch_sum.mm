var x: i64;
wasm:opcode:call:before { x = x + (fid + pc); }

var f: f32;
wasm:opcode:call:before { f = f << 1; }

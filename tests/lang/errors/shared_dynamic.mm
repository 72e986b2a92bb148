wasm:opcode:call:before { var y: u32 = 2; shared var x: u32 = y; }

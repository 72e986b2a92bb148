wasm:opcode:call:before { 3 = 4; }

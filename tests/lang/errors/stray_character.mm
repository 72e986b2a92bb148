wasm:opcode:call:before { x = 1 ¤ 2; }

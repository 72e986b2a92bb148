wasm:opcode:call:before { f(1) = 4; }

wasm:opcode:call:before { trace; }

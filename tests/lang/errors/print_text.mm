wasm:opcode:call:before { print(); }

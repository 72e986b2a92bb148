wasm:opcode:call:before { print("\q"); }

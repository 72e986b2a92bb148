wasm:opcode:[ab:before { }

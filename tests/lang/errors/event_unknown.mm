wasm:opcode:br_iff:before { }

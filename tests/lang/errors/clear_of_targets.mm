wasm:opcode:br_table:before { clear(targets); }

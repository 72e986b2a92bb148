wasm:opcode:br_table:before { delete(targets[1]); }

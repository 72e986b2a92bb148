wasm:opcode:br_table:before { for (k, v) in targets { } }

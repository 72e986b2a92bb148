wasm:opcode:br_table:before / 1 in targets / { }

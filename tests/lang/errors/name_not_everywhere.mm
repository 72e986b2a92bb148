wasm:opcode:*:before / effective_addr == 4 / { }

wasm:opcode:call:before / fname.startswith("a") / { }

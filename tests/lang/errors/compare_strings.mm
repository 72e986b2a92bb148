wasm:opcode:call:before / fname < "x" / { }

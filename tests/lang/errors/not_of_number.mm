wasm:opcode:call:before / !1 / { }

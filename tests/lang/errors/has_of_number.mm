wasm:opcode:call:before / fid has "x" / { }

wasm:opcode:call:before / fid && true / { }

wasm:opcode:call:before / fid is some / { }

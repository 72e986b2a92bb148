wasm:opcode:call:before / fid.len() == 3 / { }

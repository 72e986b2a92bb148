wasm:opcode:call:before { print("100 } {", fid); }

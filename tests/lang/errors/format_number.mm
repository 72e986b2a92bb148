wasm:opcode:call:before { print("{0}", fid); }

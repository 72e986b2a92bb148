wasm:opcode:call:before { print("{} and {}", fid); }

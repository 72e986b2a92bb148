wasm:opcode:call:before { print("{:.2}", fid); }

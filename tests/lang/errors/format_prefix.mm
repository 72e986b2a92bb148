wasm:opcode:call:before { print("{:#}", fid); }

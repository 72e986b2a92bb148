wasm:opcode:call:before { print("{:5000}", fid); }

wasm:opcode:call:before { print("{:>5q}", fid); }

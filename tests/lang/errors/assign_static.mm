wasm:opcode:call:before { fid = 3; }

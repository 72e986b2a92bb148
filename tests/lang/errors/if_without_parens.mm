wasm:opcode:call:before { if fid == 1 { } }

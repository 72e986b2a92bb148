wasm:opcode:call:before { for i in 0..fid { } }

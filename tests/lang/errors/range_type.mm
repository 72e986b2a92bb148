wasm:opcode:call:before { for i in 0..1.5 { } }

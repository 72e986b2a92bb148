wasm:opcode:call:before { else { } }

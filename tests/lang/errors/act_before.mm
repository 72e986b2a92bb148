wasm:opcode:call:before { drop_args(); }

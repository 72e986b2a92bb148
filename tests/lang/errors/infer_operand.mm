wasm:opcode:call:before { var x = arg0; }

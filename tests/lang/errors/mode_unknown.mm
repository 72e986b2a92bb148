wasm:opcode:call:befor { }

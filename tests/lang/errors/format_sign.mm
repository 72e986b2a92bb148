wasm:opcode:call:before { print("{:+}", fname); }

wasm:opcode:call:before:again { }

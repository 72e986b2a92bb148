wasm:opcode:br_if:after { arg0 = 3; }

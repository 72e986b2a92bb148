wasm:opcode:call:before { print("\u{110000}"); }

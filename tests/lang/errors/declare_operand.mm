wasm:opcode:call:before { var arg0: i32; }

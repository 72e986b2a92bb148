wasm:opcode:call:before { var a: i32; var a: i32; }

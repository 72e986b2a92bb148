wasm:opcode:call(arg0: i32, arg0: i64):before { }

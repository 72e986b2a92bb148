wasm:opcode:call(arg0: i32):before { report var x: i32 = arg0; }

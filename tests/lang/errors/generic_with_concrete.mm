wasm:opcode:call<T: int>(arg0: T, arg1: i32):before { var x: T = arg0 + arg1; }

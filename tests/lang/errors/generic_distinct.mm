wasm:opcode:call<T: int, U: int>(arg0: T, arg1: U):before { var x: T = arg0 + arg1; }

wasm:opcode:call<T>(arg0: T):before { var x: T = arg0 << 1.5; }

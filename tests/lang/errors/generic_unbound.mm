wasm:opcode:call<T, U>(arg0: T):before { }

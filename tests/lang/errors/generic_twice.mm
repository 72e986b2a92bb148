wasm:opcode:call<T, T>(arg0: T):before { }

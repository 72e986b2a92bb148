wasm:opcode:call<T:>(arg0: T):before { }

wasm:opcode:call<T: nmeric>(arg0: T):before { }

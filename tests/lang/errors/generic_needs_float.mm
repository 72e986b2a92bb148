wasm:opcode:call<T: numeric>(arg0: T):before / arg0 > 1.5 / { }

wasm:opcode:call<A, B, C, D, E>(arg0: A, arg1: B, arg2: C, arg3: D, arg4: E):before { }

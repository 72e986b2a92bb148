wasm:opcode:call<t: int>(arg0: t):before { }

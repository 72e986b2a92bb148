wasm:opcode:call<T: numeric>(arg0: T):before { var x: T = arg0; var y: Z; }

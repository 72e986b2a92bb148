wasm:opcode:call:before { var s: str = arg0; }

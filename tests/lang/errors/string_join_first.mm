var s: str;
wasm:opcode:call:before { s = 1 + s; }

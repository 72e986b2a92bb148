var s: str;
wasm:opcode:call:before { s = "a" + 1; }

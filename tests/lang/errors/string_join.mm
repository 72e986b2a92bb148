var s: str;
wasm:opcode:call:before { s = fname + pc; }

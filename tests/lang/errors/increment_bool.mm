var b: bool;
wasm:opcode:call:before { b++; }

var x: int;
wasm:opcode:call:before { }

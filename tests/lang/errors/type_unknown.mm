var x: u23;
wasm:opcode:call:before { }

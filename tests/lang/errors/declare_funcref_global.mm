var f: funcref;
wasm:opcode:call:before { }

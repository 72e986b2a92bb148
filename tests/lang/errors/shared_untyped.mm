wasm:opcode:call:before { shared var x; }

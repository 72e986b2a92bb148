report var count;
wasm:opcode:call:before { count++; }

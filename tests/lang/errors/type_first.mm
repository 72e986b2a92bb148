i32 count;
wasm:opcode:call:before { count++; }

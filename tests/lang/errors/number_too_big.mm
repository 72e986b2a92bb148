var x: u64 = 99999999999999999999;
wasm:opcode:call:before { }

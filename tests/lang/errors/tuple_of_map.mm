var t: (i32, map<i32, i32>);
wasm:opcode:call:before { }

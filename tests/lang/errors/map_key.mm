var m: map<map<i32, i32>, i32>;
wasm:opcode:call:before { }

fn f(a: i32) { }
wasm:opcode:call:before { f(); }

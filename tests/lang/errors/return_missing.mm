fn f(a: i32) -> i32 { if (a == 1) { return 1; } }
wasm:opcode:call:before { }

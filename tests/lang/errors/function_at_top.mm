fn f() -> i32 { return 1; }
var x: i32 = f();
wasm:opcode:call:before { }

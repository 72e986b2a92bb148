fn f() -> i32 { return "a"; }
wasm:opcode:call:before { }

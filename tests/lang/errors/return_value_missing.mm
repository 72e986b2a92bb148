fn f() -> i32 { return; }
wasm:opcode:call:before { }

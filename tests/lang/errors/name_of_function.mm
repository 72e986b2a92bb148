fn f() -> i32 { return 1; }
wasm:opcode:call:before / f == 1 / { }

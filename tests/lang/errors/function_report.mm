fn f() { report var x: i32; }
wasm:opcode:call:before { }

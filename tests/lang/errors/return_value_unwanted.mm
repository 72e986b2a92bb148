fn f() { return 1; }
wasm:opcode:call:before { }

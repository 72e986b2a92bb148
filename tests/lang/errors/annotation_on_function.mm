fn f() { }
wasm:opcode:call:before { @static f(); }

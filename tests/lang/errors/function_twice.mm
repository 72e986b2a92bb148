fn f() { }
fn f() { }
wasm:opcode:call:before { }

fn f(a: i32) -> i32 { return a; }
var x: i32;
wasm:opcode:call:before { x = f(fid); }

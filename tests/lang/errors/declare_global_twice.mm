var a: i32;
var a: i64;
wasm:opcode:call:before { }

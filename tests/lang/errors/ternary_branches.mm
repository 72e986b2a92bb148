var a: i32;
var i: bool;
wasm:opcode:call:before { a = i ? 1 : true; }

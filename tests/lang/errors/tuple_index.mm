var t: (i32, i32);
var x: i32;
wasm:opcode:call:before { x = t.2; }

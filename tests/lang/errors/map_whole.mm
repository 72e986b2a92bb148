var m: map<i32, i32>;
var n: map<i32, i32>;
wasm:opcode:call:before { m = n; }

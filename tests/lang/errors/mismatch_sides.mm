var x: i64;
var b: bool;
wasm:opcode:call:before { b = x == fid; }

fn add_one(a: i32) -> i32 { return a + 1; }
var x: i32;
wasm:opcode:call:before { x = ad_one(1); }

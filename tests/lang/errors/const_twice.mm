const A = 1;
var A: u32;
wasm:func:entry { }

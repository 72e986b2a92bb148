frame var x: u32;
fn f() { x++; }
wasm:func:entry { f(); }

fn f() { shared var x: u32; x++; }
wasm:func:entry { f(); }

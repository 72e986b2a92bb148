fn f() -> u32 { return 1; }
wasm:func:entry { clear(f()); }

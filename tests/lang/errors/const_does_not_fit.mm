const BIG = 1 << 40;
wasm:func:entry { var x: u32 = BIG; }

report var h: u32(0, 10, 1);
wasm:func:entry { }

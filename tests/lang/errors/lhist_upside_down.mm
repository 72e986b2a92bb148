report var h: map<u32, lhist(10, 0, 1)>;
wasm:func:entry { }

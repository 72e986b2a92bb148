report var h = lhist(0, 1_000_000, 10);
wasm:func:entry { }

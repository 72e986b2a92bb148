report var h: lhist(0, 10);
wasm:func:entry { }

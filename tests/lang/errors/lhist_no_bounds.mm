report var h: lhist;
wasm:func:entry { }

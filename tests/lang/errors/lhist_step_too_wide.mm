report var h: lhist(0, 10, 9_999_999_999_999_999_999);
wasm:func:entry { }

var low: i64;
report var h = lhist(low, 10, 1);
wasm:func:entry { }

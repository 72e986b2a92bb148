param pair = (1, 2);
wasm:func:entry { }

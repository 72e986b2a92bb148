task var x: map<u32, u32>;
wasm:func:entry { x[1] = 2; }

wasm:func:entry { param n = 1; }

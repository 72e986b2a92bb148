wasm:func:entry { task = 3; }

wasm:func:entry { unshared var x: u32 = task; }

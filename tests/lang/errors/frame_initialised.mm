wasm:func:entry { frame var x: u32 = 3; }

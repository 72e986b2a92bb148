wasm:func:entry { task var x: u32; }

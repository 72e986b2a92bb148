wasm:func:entry { shared unshared var x: u32; x++; }

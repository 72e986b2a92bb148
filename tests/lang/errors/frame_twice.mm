wasm:func:entry { frame var x: u32; var x: u32; }

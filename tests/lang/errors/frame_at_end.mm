wasm:end { frame var x: u32; }

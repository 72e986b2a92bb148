wasm:func:entry { frame var x: u32; }
wasm:func:exit { frame var x: u64; }

wasm:func:entry { report frame var x: u32; }

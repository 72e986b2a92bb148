wasm:func:entry { var n: u32 = $2nd; }

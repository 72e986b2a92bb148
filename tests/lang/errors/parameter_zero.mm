wasm:func:entry { var n: u32 = $0; var m: u32 = $1; }

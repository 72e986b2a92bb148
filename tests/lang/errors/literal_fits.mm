wasm:func:entry { var a: u8 = 99999; }

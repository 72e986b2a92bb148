shared var x: u32;
wasm:func:entry { x++; }

report task var x: u32;
wasm:func:entry { x++; }

var y: u32;
task var x: u32 = y;
wasm:func:entry { x++; }

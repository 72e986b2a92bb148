wasm:func:entry { if (true) { break; } }

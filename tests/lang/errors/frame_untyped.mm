wasm:func:entry { frame var x; }

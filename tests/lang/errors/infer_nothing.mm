wasm:func:entry { var x; }

wasm:func:entry { var x = 1 + count(); }

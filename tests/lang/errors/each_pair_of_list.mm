wasm:func:entry { for (i, c) in fname { } }

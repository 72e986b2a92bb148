wasm:func:entry { for x in fname { } }

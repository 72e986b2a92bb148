wasm:func:entry { for i in fname..fname { } }

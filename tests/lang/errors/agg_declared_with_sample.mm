wasm:func:entry { report var h = hist(5); }

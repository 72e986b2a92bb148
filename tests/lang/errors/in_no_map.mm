wasm:func:entry / 1 in fname / { }

wasm:func:entry / fname.matches("*a") / { }

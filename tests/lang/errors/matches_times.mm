wasm:func:entry / fname.matches("a{2000}") / { }

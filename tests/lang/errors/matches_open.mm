wasm:func:entry / fname.matches("a\u{e9}(b") / { }

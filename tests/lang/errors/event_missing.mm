wasm:func { }

wasm:func:entry / fname.matches("[z-a]") / { }

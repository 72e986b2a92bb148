wasm:func:entry / fname.matches("[é]") / { }

wasm:func:entry / fname.matches("(a|b)*a(a|b){10}") / { }

var p: str;
wasm:func:entry / fname.matches(p) / { }

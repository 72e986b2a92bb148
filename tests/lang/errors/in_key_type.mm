var m: map<str, u32>;
wasm:func:entry / fid in m / { }

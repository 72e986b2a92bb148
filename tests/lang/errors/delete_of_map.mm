var m: map<u32, u32>;
wasm:func:entry { delete(m); }

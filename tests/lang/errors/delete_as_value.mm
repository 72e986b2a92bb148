var m: map<u32, u32>;
wasm:func:entry { var x = delete(m[1]); }

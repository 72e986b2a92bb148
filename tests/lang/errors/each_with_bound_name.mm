var m: map<u32, u32>;
wasm:func:entry { for (k, arg0) in m { } }

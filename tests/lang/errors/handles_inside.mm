var m: map<str, map<handle, u32>>;
wasm:func:entry { }

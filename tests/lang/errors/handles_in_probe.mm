wasm:func:entry { unshared var m: map<handle, u32>; }

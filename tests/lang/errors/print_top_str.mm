report var m: map<u32, u32>;
wasm:func:entry { print(m, "5"); }

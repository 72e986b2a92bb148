report var deepest: map<str, max>;
wasm:func:entry { deepest[func] = max(depth()); }

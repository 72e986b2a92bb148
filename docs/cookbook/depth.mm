var depth: u32;
report var deepest: map<str, max>;
wasm:func:entry { depth++; deepest[func] = max(depth); }
wasm:func:exit { depth--; }

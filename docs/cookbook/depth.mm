var depth: u32;
report var deepest: map<str, max>;
wasm:func:entry { depth++; deepest[func] = max(depth as i64); }
wasm:func:exit { depth--; }

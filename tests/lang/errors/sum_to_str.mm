report var n: str;
wasm:func:entry { n = sum(fid); }

param n = fid;
wasm:func:entry { }

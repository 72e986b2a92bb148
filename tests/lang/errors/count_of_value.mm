report var n = count();
wasm:func:entry { n = count(fid); }

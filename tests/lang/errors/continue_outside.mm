fn f() { continue; }
wasm:func:entry { while (fid > 1) { f(); } }

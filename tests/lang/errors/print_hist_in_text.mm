report var h = hist();
wasm:func:entry { print("{}", h); }

var m: handle;
wasm:func:entry { }

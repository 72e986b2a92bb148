fn f() { }
wasm:func:entry { var x = f(); }

wasm:func:entry { exit(); exit(256); abort(1); exit("a"); var x: u32 = exit(1); }

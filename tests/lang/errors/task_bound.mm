wasm:task:start(arg0: i32) { }

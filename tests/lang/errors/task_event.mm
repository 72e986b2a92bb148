wasm:task:begin { }

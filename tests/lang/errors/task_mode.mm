wasm:task:start:before { }

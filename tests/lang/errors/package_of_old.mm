wasm:bytecode:call:after { }

wasm:func:exit { param0 = 1; res0 = 1; elapsed = 4; }

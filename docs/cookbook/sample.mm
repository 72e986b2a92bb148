wasm:func:entry / fname == $function && sample(1/10) / { print("{}({})", fname, param0); }

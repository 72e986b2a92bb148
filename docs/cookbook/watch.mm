var last = -1;
wasm:func:entry / fname == $function / {
    if (param0 != last) { print("{}({})", fname, param0); }
    last = param0;
}

param of = 10;
var asked: u32;
wasm:func:entry / fname == $function / {
    if (asked % of == 0) { print("{}({})", fname, param0); }
    asked++;
}

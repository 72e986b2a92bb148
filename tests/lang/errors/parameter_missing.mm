wasm:func:entry / fname == $who / {
  report var n: u32;
  n += $2;
}

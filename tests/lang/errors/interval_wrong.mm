interval:1 { }
wasm:interval { }
wasm:interval:2d { }
wasm:tick:1s { }
interval:0s { x++; }

var h: hist;
var f: f64;
wasm:opcode:call:before { h = hist(f); }

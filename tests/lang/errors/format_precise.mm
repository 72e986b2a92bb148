var f: f64;
wasm:opcode:call:before { print("{:.500}", f); }

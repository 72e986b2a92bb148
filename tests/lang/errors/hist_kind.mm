var h: hist;
wasm:opcode:call:before { h = avg(3); }

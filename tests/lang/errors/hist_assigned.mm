var h: hist;
wasm:opcode:call:before { h = 3; }

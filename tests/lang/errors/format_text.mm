var s: str;
wasm:opcode:call:before { s = format(fid); }

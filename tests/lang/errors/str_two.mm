var s: str;
wasm:opcode:call:before { s = str(fid, pc); }

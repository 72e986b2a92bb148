var s: str;
wasm:opcode:call:before { s = fid as str; }

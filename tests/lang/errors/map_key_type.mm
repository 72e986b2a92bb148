var m: map<str, i32>;
wasm:opcode:call:before { m[fid]++; }

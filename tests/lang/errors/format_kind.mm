wasm:opcode:call:before { print("a\n\u{e9} {} {:x}", fid, fname); }

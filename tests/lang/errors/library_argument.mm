use lib;
wasm:opcode:call:before { lib.check(fid); }

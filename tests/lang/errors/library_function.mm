use lib;
wasm:opcode:call:before { lib.chek(1); }

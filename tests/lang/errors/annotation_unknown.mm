use lib;
wasm:opcode:call:before { @statik lib.check(1); }

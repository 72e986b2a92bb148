use lib;
var x: u32;
wasm:opcode:call:before { x = memid(lib); }

// icount: how many instructions the program executed.
report var instructions: u64;

wasm:opcode:*:before { instructions++; }

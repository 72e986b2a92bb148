wasm:opcode:loop:entry { report var rounds: u64; rounds++; }

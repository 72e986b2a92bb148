wasm:opcode:drop:before { report var s: str = read_str(0, 0, 10); }

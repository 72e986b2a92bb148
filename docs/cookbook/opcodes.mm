report var executed: map<str, u64>;
wasm:opcode:*:before { executed[opname]++; }

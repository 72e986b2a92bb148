// hotness: how often each instruction was executed.
wasm:opcode:*:before {
    report var count: u64;
    count++;
}

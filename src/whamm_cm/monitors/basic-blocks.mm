// basic-blocks: how often each basic block ran, at its last instruction.
wasm:block:end {
    report var count: u64;
    count++;
}

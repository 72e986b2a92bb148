// loops: how often each loop was entered, and how many rounds it made in all.
wasm:opcode:loop:before {
    report var entries: u64;
    entries++;
}
wasm:opcode:loop:entry {
    report var iterations: u64;
    iterations++;
}

// coverage: which instructions were executed at all.
wasm:opcode:*:before {
    report var covered: bool;
    covered = true;
}

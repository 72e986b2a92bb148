wasm:opcode:br_if|if:before {
    report var taken: u64;
    report var not_taken: u64;
    if (arg0 != 0) { taken++; } else { not_taken++; }
}

// branches: how often each branch was taken, of how many times it was reached.
wasm:opcode:br_if|if:before {
    report var taken: u64;
    report var total: u64;
    total++;
    if (arg0 != 0) { taken++; }
}
?wasm:opcode:br_table:before {
    report var targets_taken: map<u32, u64>;
    targets_taken[target]++;
}
?wasm:opcode:select|typed_select(arg0: i32):before {
    report var selected_first: u64;
    report var selects: u64;
    selects++;
    if (arg0 != 0) { selected_first++; }
}

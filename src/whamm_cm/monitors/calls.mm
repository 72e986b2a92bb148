// calls: how often each call was made, and how many went where.
report var direct: u64;
report var imported: u64;
report var indirect: u64;

wasm:opcode:call|return_call:before {
    report var count: u64;
    count++;
    if (target_fn_type == "import") { imported++; } else { direct++; }
}
?wasm:opcode:call_indirect|return_call_indirect|call_ref|return_call_ref:before {
    report var count: u64;
    count++;
    indirect++;
}

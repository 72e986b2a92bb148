// memory: accesses and bytes, in all and by instruction.
report var reads: u64;
report var bytes_read: u64;
report var writes: u64;
report var bytes_written: u64;
report var bulk: u64;
report var bytes_bulk: u64;

wasm:opcode:i*load*|f*load*|v128.load*|i*store*|f*store*|v128.store*|i*.atomic.*:before {
    report var count: u64;
    count++;
    if (is_write) { writes++; bytes_written += data_size as u64; }
    else { reads++; bytes_read += data_size as u64; }
}
?wasm:opcode:memory.copy|memory.fill|memory.init:before {
    report var count: u64;
    count++;
    bulk++;
    bytes_bulk += arg0 as u64;
}

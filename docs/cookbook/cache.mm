use cache;
report var hits: u64;
report var misses: u64;
wasm:opcode:*load*|*store*:before {
    var found = cache.check_access(effective_addr as i32, data_size as i32);
    hits += (found >> 16) as u64;
    misses += (found & 0xFFFF) as u64;
}

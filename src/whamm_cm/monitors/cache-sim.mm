// cache-sim: hits and misses of each load and store in a simulated cache.
// Needs the simulator: --lib cache=cache.wasm, as docs/libraries.md builds it.
use cache;

wasm:opcode:*load*|*store*:before {
    report var hits: u32;
    report var misses: u32;
    var result: i32 = cache.check_access(effective_addr as i32, data_size as i32);
    hits += ((result >> 16) & 0xFFFF) as u32;
    misses += (result & 0xFFFF) as u32;
}

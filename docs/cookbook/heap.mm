wasm:opcode:memory.grow(arg0: i32):after {
    if (failed) { print("{}: no {} pages more", fname, arg0); }
    else { print("{}: {} pages, were {}", fname, mem_size(0), res0); }
}

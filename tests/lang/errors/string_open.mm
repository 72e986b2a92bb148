wasm:opcode:call:before {
    print("never closed);
}

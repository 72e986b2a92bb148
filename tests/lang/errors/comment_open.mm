/* a /* b */
wasm:opcode:call:before { }

wasm:opcode:call:before { whamm_core.putc(10); }

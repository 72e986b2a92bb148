use whamm_core;
wasm:opcode:call:before / whamm_core == 1 / { }

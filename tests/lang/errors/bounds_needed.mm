wasm:opcode:call:before / arg0 == 1 && arg1 == 1 && arg2 == 1 && arg3 == 1 / { }

wasm:opcode:call_indirect:before { print("{}", target_funcref); }

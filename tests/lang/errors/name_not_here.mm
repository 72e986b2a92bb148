wasm:opcode:nop:before / target_fn_name == "f" / { }

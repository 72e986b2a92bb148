wasm:opcode:nop:alt { alt_call_by_id(3); }

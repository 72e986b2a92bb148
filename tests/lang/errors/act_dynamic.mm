wasm:opcode:call(arg0: i32):alt { alt_call_by_id(arg0); }

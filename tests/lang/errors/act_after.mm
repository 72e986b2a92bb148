wasm:opcode:call:after { alt_call_by_name("f"); }

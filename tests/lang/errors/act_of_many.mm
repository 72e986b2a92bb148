wasm:opcode:i32.*:before|alt { drop_args(); return 1; }

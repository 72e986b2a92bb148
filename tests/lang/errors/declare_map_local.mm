wasm:opcode:call:before { var m: map<i32, i32>; }

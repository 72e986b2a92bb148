var m: map<i32, i32> = 1;
wasm:opcode:call:before { }

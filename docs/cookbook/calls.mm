report var calls: map<(str, str), u64>;
wasm:opcode:call:before { calls[(fname, target_fn_name)]++; }

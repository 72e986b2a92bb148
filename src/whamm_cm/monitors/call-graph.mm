// call-graph: which function called which, how often: (number, name, number, name) -> calls.
// What an indirect call leads to is seen at the entry of the next function.
report var edges: map<(u32, str, u32, str), u64>;
var caller: (u32, str);
var waiting: bool;

wasm:opcode:call|return_call:before {
    edges[(fid, fname, imm0, target_fn_name)]++;
}
?wasm:opcode:call_indirect|call_ref|return_call_indirect|return_call_ref:before {
    caller = (fid, fname);
    waiting = true;
}
?wasm:func:entry / waiting / {
    waiting = false;
    edges[(caller.0, caller.1, fid, fname)]++;
}
// Nothing was entered: the call has left the core modules.
?wasm:opcode:call_indirect|call_ref:after / waiting / {
    waiting = false;
    edges[(fid, fname, 0xFFFF_FFFF, "(outside)")]++;
}

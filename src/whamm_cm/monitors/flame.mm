// flame: where instructions were executed, by call stack, as a flame graph.
// A node of the call tree: its caller's node, function, number of the function, instructions.
report var instructions: map<u32, (u32, str, u32, u64)>;
var children: map<(u32, u32), u32>;
var functions: u32;
var nodes: u32;
var here: u32;
var executed: u64;

wasm:opcode:*:before { executed++; }

wasm:func:entry {
    unshared var function: u32;
    if (function == 0) { functions++; function = functions; }
    var node: u32 = children[(here, function)];
    if (node == 0) {
        nodes++;
        node = nodes;
        children[(here, function)] = node;
        instructions[node] = (here, fname, fid, 0);
    }
    // The function's first instruction is counted already.
    if (here != 0) { instructions[here].3 += executed - 1; }
    executed = 1;
    here = node;
}
wasm:func:exit {
    instructions[here].3 += executed;
    executed = 0;
    here = instructions[here].0;
}
// A program that exits leaves none of its functions.
wasm:end {
    if (here != 0) { instructions[here].3 += executed; }
    executed = 0;
}

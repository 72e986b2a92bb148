// flame-inlined: flame with functions that compilers put in place of calls, from debug information; slower.
// A node of the call tree: its caller's node, name, number of the function, instructions, whether the name is several.
report var instructions: map<u32, (u32, str, u32, u64, bool)>;
// By a node and what is called or inlined there (odd, even), the node of that.
var children: map<(u32, u32), u32>;
// Of the node of what is inlined: the node of its function, and what it is.
var functions_of: map<u32, u32>;
var inlined_at: map<u32, u32>;
var numbers: map<str, u32>;
var functions: u32;
var nodes: u32;
var executed: u64;
// The nodes of the function and of the code that runs, and what of it is inlined (0: nothing).
var running: u32;
var here: u32;
var part: u32;

fn child(of: u32, number: u32, name: str, function: u32, several: bool) -> u32 {
    var node: u32 = children[(of, number)];
    if (node == 0) {
        nodes++;
        node = nodes;
        children[(of, number)] = node;
        instructions[node] = (of, name, function, 0, several);
    }
    return node;
}
fn number_of(names: str) -> u32 {
    if (numbers[names] == 0) { numbers[names] = numbers.len() as u32 + 1; }
    return numbers[names];
}
fn leave() {
    if (here != 0) { instructions[here].3 += executed; }
    executed = 0;
}

// A function's first instruction is counted as its own, where it is entered.
wasm:opcode:*:before / opidx > 0 / {
    unshared var mine: u32;
    if (frames != "" && mine == 0) { mine = number_of(frames); }
    if (part != mine) {
        leave();
        part = mine;
        here = running;
        if (mine != 0) {
            here = child(running, 2 * mine, frames, fid, true);
            functions_of[here] = running;
            inlined_at[here] = mine;
        }
    }
    executed++;
}

wasm:func:entry {
    unshared var function: u32;
    if (function == 0) { functions++; function = functions; }
    leave();
    here = child(here, 2 * function + 1, func, fid, false);
    running = here;
    part = 0;
    executed = 1;
}
wasm:func:exit {
    leave();
    here = instructions[running].0;
    part = inlined_at[here];
    running = part == 0 ? here : functions_of[here];
}
// A program that exits leaves none of its functions.
wasm:end { leave(); }

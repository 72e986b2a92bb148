"""``stack()`` and ``depth()``: the functions under way.

What keeps track of them are probes of a script that nobody wrote, which stands before the others.
A function remembers in its frame where it is in the tree of calls, and says so right before each of
its calls; so whatever way a call is left, a probe reads what is right for its own function.
"""

from __future__ import annotations

from whamm_cm.lang import syntax as s
from whamm_cm.lang.body import Body
from whamm_cm.lang.lifetimes import IN_FUNCTIONS
from whamm_cm.lang.tree import Call, Const, Expr, Var
from whamm_cm.lang.valtypes import STR, U32

#: Calls of functions that may run code of a module; tail calls are ways out before that.
_AROUND = """
wasm:func:exit { frame var caller: u32; here = caller; }
?wasm:opcode:call|call_indirect|call_ref:before { frame var node: u32; here = node; }
"""

_DEPTH = """
task var here: u32;

wasm:func:entry {
    frame var caller: u32;
    frame var node: u32;
    caller = here;
    node = caller + 1;
}
"""

#: ``places``: caller's node and name.  A text is put together from its end and cut in front; 16 KiB
#: is what texts have at most.
_STACK = """
task var here: u32;
var nodes: u32;
var functions: u32;
var children: map<(u32, u32), u32>;
var places: map<u32, (u32, str)>;
var texts: map<(u32, u32), str>;

fn text(node: u32, most: u32) -> str {
    if ((node, most) in texts) { return texts[(node, most)]; }
    var found: str = "";
    var at: u32 = node;
    var left: u32 = most;
    while (at != 0 && left > 0) {
        var name: str = places[at].1;
        if (len(name) + len(found) > 16000 && found != "") {
            found = "...;" + found;
            break;
        }
        found = found == "" ? name : name + ";" + found;
        at = places[at].0;
        left--;
    }
    texts[(node, most)] = found;
    return texts[(node, most)];
}

wasm:func:entry {
    frame var caller: u32;
    frame var node: u32;
    unshared var function: u32;
    unshared var last: u32;
    unshared var last_caller: u32;
    caller = here;
    if (last == 0 || last_caller != caller) {
        if (function == 0) { functions++; function = functions; }
        last = children[(caller, function)];
        last_caller = caller;
        if (last == 0) {
            var name: str = func == "" ? format("#{}", fid) : func;
            if (func.contains(";")) {
                var at: i32 = name.find(";");
                while (at >= 0) {
                    name = name.slice(0, at) + "," + name.slice(at + 1, len(name) as i32);
                    at = name.find(";");
                }
            }
            nodes++;
            last = nodes;
            children[(caller, function)] = last;
            places[last] = (caller, name);
        }
    }
    node = last;
}
"""

#: What keeps track, by the function that asks for it.
SCRIPTS = {"stack": _STACK + _AROUND, "depth": _DEPTH + _AROUND}
_ALL = 0xFFFF_FFFF
#: The mode of what is to run before all else that probes do in a function.
FIRST = "first"


def asked(script: s.Script) -> set[str]:
    """Which of them a script calls; what it has defined itself is its own."""
    own = {item.name for item in script.items if isinstance(item, s.Fn)}
    found: set[str] = set()
    waiting: list[object] = [script]
    while waiting:
        node = waiting.pop()
        if isinstance(node, s.Invoke) and node.receiver is None and node.name in SCRIPTS:
            found.add(node.name)
        if isinstance(node, tuple):
            waiting.extend(child for child in node if isinstance(child, tuple))
    return found - own


def call(body: Body, node: s.Invoke) -> Expr:
    """Raises ScriptError where no function of a module is known to run, and for wrong arguments."""
    if body.event is None or body.event.package not in IN_FUNCTIONS:
        raise body.error(node, f"{node.name}() is of the function of the program that runs, which"
                         f" {body.place()} knows nothing of",
                         "ask in probes of wasm:opcode, wasm:func and wasm:block")  # fmt: skip
    if body.initialising:
        raise body.error(node, f"{node.name}() changes, but {body.initialising} is initialised"
                         " once", "declare first and assign in a statement of its own")  # fmt: skip
    tree = body.env.trees[node.name]
    here = Var(U32, tree.frames["node"], body.span(node))
    most = int(node.name == "stack")
    if len(node.args) > most:
        takes = "no argument or 1 (u32)" if most else "no argument"
        raise body.error(node, f"{node.name} takes {takes}, not {len(node.args)}")
    if not most:
        return here
    arg = node.args[0] if node.args else None
    limit = (
        Const(U32, _ALL) if arg is None else body.typed(arg, U32, "how many functions stack names")
    )
    return Call(STR, tree.functions["text"], (here, limit), body.span(node))

"""Checking of statements."""

from __future__ import annotations

from whamm_cm.lang import aggs, maps
from whamm_cm.lang import syntax as s
from whamm_cm.lang.body import Body, StmtRule
from whamm_cm.lang.builtins import ACTS
from whamm_cm.lang.calls import CURSOR, counted, is_static
from whamm_cm.lang.constants import act_of_wit, wit_return
from whamm_cm.lang.events import BOUNDABLE, NUMBERED
from whamm_cm.lang.fold import fold_expr
from whamm_cm.lang.lifetimes import declare_frame, declare_shared
from whamm_cm.lang.paths import assign_parameter
from whamm_cm.lang.texts import print_statement
from whamm_cm.lang.tree import (
    Act,
    Assign,
    Bound,
    Cast,
    Const,
    Declare,
    Element,
    Evaluate,
    Expr,
    For,
    If,
    Jump,
    Kind,
    Length,
    MapGet,
    Return,
    Span,
    Static,
    Stmt,
    Trace,
    TupleGet,
    Update,
    Var,
    Variable,
    While,
)
from whamm_cm.lang.types import INTEGERS, NUMBERS, a, resolve_type
from whamm_cm.lang.valtypes import (
    BOOL,
    FUNCREF,
    I32,
    I64,
    STR,
    U32,
    U64,
    UNIT,
    AggT,
    MapT,
    Type,
    WitT,
)
from whamm_cm.wit import types as w

# --- blocks --------------------------------------------------------------------------------------


def block(body: Body, statements: s.Block) -> tuple[Stmt, ...]:
    """A block of its own: names declared twice in it are an error.

    What it declares stays visible behind it, as in whamm; a name that hid another gives it back.
    """
    outer, body.declared = body.declared, set()
    before = dict(body.locals)
    found = body.each(statements)
    body.locals.update((name, before[name]) for name in body.declared & before.keys())
    body.declared = outer
    return tuple(found)


# --- declarations --------------------------------------------------------------------------------


def check_name(body: Body, node: s.Decl | s.Count | s.Each | s.Param | s.Fn) -> None:
    """Names that the language needs for itself cannot be declared."""
    if NUMBERED.fullmatch(node.name):
        raise body.env.source.error(f'"{node.name}" is bound by probes and cannot be declared',
                                    node.at, node.end, "choose another name")  # fmt: skip
    if node.name in ("true", "false", "APP_MEMID"):
        raise body.env.source.error(f'"{node.name}" cannot be declared', node.at, node.end,
                                    "choose another name")  # fmt: skip


def declare(body: Body, node: s.Decl) -> tuple[Stmt, ...]:
    check_name(body, node)
    if node.const:
        return _constant(body, node)
    if node.task:
        return _declare_of_task(body, node)
    if node.lives:
        return (declare_frame if node.lives == "frame" else declare_shared)(body, node)
    special = node.report or node.unshared
    if special and body.kind == "function":
        raise body.error(node, "functions have no report or unshared variables",
                         "declare it at the top of the script")  # fmt: skip
    type_ = declared_type(body, node)
    known = body.env.globals.get(node.name)
    at_top = body.kind == "global" and known is not None and known.span.start == node.at
    if body.kind == "global" and special and not at_top:
        raise body.error(node, "report and unshared variables belong at the top or in a probe")
    kind = Kind.GLOBAL if at_top else Kind.CELL if special else Kind.LOCAL
    if kind is Kind.LOCAL and isinstance(type_, MapT | AggT) and not _is_targets(body, node):
        raise body.error(node, f"{a(type_)} must live longer than one firing",
                         f"write unshared var {node.name}: {type_};")  # fmt: skip
    if type_ == FUNCREF and kind is not Kind.LOCAL:
        raise body.error(node, "a funcref lives only during one firing",
                         "declare it inside a probe, without report or unshared")  # fmt: skip
    if isinstance(type_, MapT) and type_.handles and kind is not Kind.GLOBAL:
        raise body.error(node, "a map keyed by handles is there once for a component instance",
                         "declare it at the top of the script")  # fmt: skip
    init = _initialiser(body, node, type_, kind)
    if at_top and known is not None:
        variable = known
    else:
        variable = body.declare(node, node.name, type_, kind, node.report)
    return (Declare(variable, init, body.span(node)),)


def declared_type(body: Body, node: s.Decl) -> Type:
    """The type a declaration says, else that of its value."""
    if node.type is not None:
        return resolve_type(body.env.source, node.type)
    if node.init is not None and (aggregation := aggs.declared(body, node.init)) is not None:
        return aggregation
    if node.init is None:
        raise body.error(node, f'nothing says what type "{node.name}" has',
                         f"write var {node.name}: u32; or give it a value")  # fmt: skip
    found = body.value(node.init)
    if found.type == UNIT:
        raise body.error(node.init, f'this has no value that "{node.name}" could have')
    return found.type


def meaning_of(body: Body, node: s.Decl) -> tuple[Kind, Const]:
    """What a constant stands for; literals without a type stay literals."""
    assert node.init is not None
    literal = node.type is None and body.flexible(node.init)
    want = None if node.type is None else declared_type(body, node)
    if literal:  # 1 << 40 is meant as it is
        want = I64 if body.default((node.init,)) == I32 else body.default((node.init,))
    init = body.value(node.init, want) if want is None else body.typed(node.init, want, node.name)
    found = fold_expr(init, {})
    if not isinstance(found, Const):
        raise body.error(node.init, f'"{node.name}" is known only when the script runs',
                         f"write var {node.name}")  # fmt: skip
    return (Kind.LITERAL if literal else Kind.MEANING), found


def _constant(body: Body, node: s.Decl) -> tuple[Stmt, ...]:
    known = body.env.globals.get(node.name)
    if body.kind != "global" or known is None or known.span.start != node.at:
        kind, meaning = meaning_of(body, node)
        body.declare(node, node.name, meaning.type, kind, meaning=meaning)
    return ()


def _declare_of_task(body: Body, node: s.Decl) -> tuple[Stmt, ...]:
    """``task var x: u32 = 1;`` at the top: one for each task."""
    known = body.env.globals.get(node.name)
    if body.kind != "global" or known is None or known.span.start != node.at:
        raise body.error(node, "variables of tasks are declared at the top of the script",
                         "move it there: all probes of a task share it")  # fmt: skip
    if node.report or node.unshared:
        word = "report" if node.report else "unshared"
        raise body.error(node, f"a variable of tasks cannot be {word}: it is gone with its task",
                         "add it up in a report variable, in wasm:task:end")  # fmt: skip
    if isinstance(known.type, MapT | AggT) or known.type == FUNCREF:
        raise body.error(node, f"a variable of tasks cannot be {a(known.type)}",
                         "use a map with task in its keys")  # fmt: skip
    if node.init is None:
        return (Declare(known, None, body.span(node)),)
    init = fold_expr(body.typed(node.init, known.type, node.name), {})
    if not isinstance(init, Const):
        raise body.error(node.init, "a variable of tasks starts with a constant",
                         "assign it in wasm:task:start")  # fmt: skip
    return (Declare(known, init, body.span(node)),)


def _is_targets(body: Body, node: s.Decl) -> bool:
    """``var t: map<u32, u32> = targets;``: another name for a map known at match time."""
    return isinstance(node.init, s.Name) and isinstance(body.expr(node.init), Static)


def _initialiser(body: Body, node: s.Decl, type_: Type, kind: Kind) -> Expr | None:
    if node.init is None or aggs.declared(body, node.init) == type_:
        return None
    if isinstance(type_, MapT | AggT) and kind is not Kind.LOCAL:
        raise body.error(node.init, f"{a(type_)} starts empty", "leave the initialiser out")
    body.initialising = node.name if kind is Kind.CELL else ""
    init = _same_width(body, node, type_) or body.typed(node.init, type_, node.name)
    body.initialising = ""
    return init


_OTHER_SIGN = {U32: I32, I32: U32, U64: I64, I64: U64}


def _same_width(body: Body, node: s.Decl, type_: Type) -> Expr | None:
    """whamm does not compare the type of an initialiser with that of its variable."""
    if (
        body.wit is not None
        or type_ not in _OTHER_SIGN
        or not isinstance(node.init, s.Name | s.Invoke | s.Dot | s.Index)
    ):
        return None
    init = body.value(node.init, type_)
    if init.type != _OTHER_SIGN[type_]:
        return None
    text = body.env.source.text[node.init.at : node.init.end]
    body.env.warn(node.init, f"this is {a(init.type)}, but {node.name} is {a(type_)}",
                  f"write {text} as {type_}")  # fmt: skip
    return Cast(type_, init, init.span)


# --- assignments ---------------------------------------------------------------------------------


def assign(body: Body, node: s.Set) -> tuple[Stmt, ...]:
    if isinstance(node.target, s.Name):
        if _is_new(body, node.target):
            raise body.unknown(node.target)
        known = body.variable(node.target.name)
        if known is not None and known.meaning is not None:
            what = "a constant" if isinstance(known.meaning, Const) else "an element of the list"
            raise body.error(node.target, f'"{known.name}" is {what} and cannot be assigned',
                             "assign a variable")  # fmt: skip
    target = body.expr(node.target, _target_type(body, node))
    span = body.span(node)
    if isinstance(target.type, AggT):
        return (aggs.sample(body, node, target),)
    if isinstance(target.type, WitT):
        return (assign_parameter(body, node, target),)
    _assignable(body, node, target)
    if isinstance(target.type, MapT):
        raise body.error(
            node, "maps cannot be assigned as a whole", "assign their entries: m[k] = v"
        )
    what = body.env.source.text[node.target.at : node.target.end]
    added = aggs.adding(body, node, target)
    if added is not None:
        return (added,)
    if not node.op:
        return (Assign(target, body.typed(node.value, target.type, what), span),)
    if target.type not in NUMBERS and not (target.type == STR and node.op == "+"):
        raise body.error(node, f'"{node.op}=" needs a number, {what} is {a(target.type)}')
    if node.op in ("&", "|", "^", "<<", ">>") and target.type not in INTEGERS:
        raise body.error(node, f'"{node.op}=" needs an integer, {what} is {a(target.type)}')
    return (Update(target, node.op, body.typed(node.value, target.type, what), span),)


def _is_new(body: Body, node: s.Name) -> bool:
    known = node.name in body.locals or node.name in body.env.globals or node.name in body.bounds
    if known or (body.wit is not None and node.name in body.wit.names):
        return False
    return body.event is None or body.event.find(node.name) is None


def _target_type(body: Body, node: s.Set) -> Type | None:
    """An operand of unknown type that is assigned takes the type of the value."""
    target = node.target
    if (
        isinstance(target, s.Name)
        and body.is_untyped(target.name)
        and not body.flexible(node.value)
    ):
        return body.value(node.value).type
    return None


def _assignable(body: Body, node: s.Set, target: Expr) -> None:
    root = target
    while isinstance(root, TupleGet | MapGet):
        root = root.operand if isinstance(root, TupleGet) else root.map
    name = body.env.source.text[node.target.at : node.target.end]
    if isinstance(root, Static):
        raise body.error(node.target, f'"{name}" is known at match time and cannot be assigned')
    if (
        isinstance(root, Bound)
        and isinstance(node.target, s.Name)
        and root.name == node.target.name
    ):
        _assignable_operand(body, node, root)
    elif not isinstance(root, Var):
        raise body.error(node.target, f'"{name}" cannot be assigned',
                         "assign a variable or an operand of the instruction")  # fmt: skip


#: Those of functions have none: their parameters and results can be assigned.
_OPERAND_MODES = {"arg": ("before", "alt", ""), "res": ("after", "")}


def _assignable_operand(body: Body, node: s.Set, root: Bound) -> None:
    modes = _OPERAND_MODES.get(root.name[:3])
    if not BOUNDABLE.fullmatch(root.name):
        raise body.error(node.target, f'"{root.name}" cannot be assigned')
    if modes is not None and body.mode not in modes:
        where = " or ".join(filter(None, modes))
        raise body.error(node.target, f'"{root.name}" cannot be assigned in an {body.mode} probe',
                         f"assign it in a probe of mode {where}")  # fmt: skip


# --- control flow --------------------------------------------------------------------------------


def branch(body: Body, node: s.Branch) -> tuple[Stmt, ...]:
    span = body.span(node)
    arms: list[tuple[Expr, tuple[Stmt, ...]]] = []
    for condition, then in node.arms:
        arms.append((body.typed(condition, BOOL, "a condition"), block(body, then)))
    otherwise = block(body, node.otherwise)
    for condition_, then_ in reversed(arms):
        otherwise = (If(condition_, then_, otherwise, span),)
    return otherwise


def loop(body: Body, node: s.Loop) -> tuple[Stmt, ...]:
    condition = body.typed(node.condition, BOOL, "a condition")
    return (While(condition, _round(body, node.body), body.span(node)),)


def _round(body: Body, statements: s.Block) -> tuple[Stmt, ...]:
    body.loops += 1
    found = block(body, statements)
    body.loops -= 1
    return found


def count(body: Body, node: s.Count) -> tuple[Stmt, ...]:
    check_name(body, node)
    low, high = _range(body, node)
    variable, inner = _named_round(body, node, low.type, Kind.LOCAL)
    return (For(variable, low, high, inner, body.span(node)),)


def _range(body: Body, node: s.Count) -> tuple[Expr, Expr]:
    """Both ends, of one type: i32 where nothing says another."""
    if body.flexible(node.low) and body.flexible(node.high):
        return body.typed(node.low, I32, "the range"), body.typed(node.high, I32, "the range")
    low, high = body.pair(node.low, node.high, None)
    if low.type not in INTEGERS:
        raise body.error(node.low, f"a range has integers, this is {a(low.type)}")
    return low, high


def _named_round(
    body: Body, node: s.Count | s.Each, type_: Type, kind: Kind, meaning: Expr | None = None
) -> tuple[Variable, tuple[Stmt, ...]]:
    """The body of a loop with a name that only it knows."""
    outer, before = body.declared, body.locals.get(node.name)
    body.declared = set()
    variable = body.declare(node, node.name, type_, kind, meaning=meaning)
    inner = _round(body, node.body)
    body.declared = outer
    if before is None:
        del body.locals[node.name]
    else:
        body.locals[node.name] = before
    return variable, inner


def each(body: Body, node: s.Each) -> tuple[Stmt, ...]:
    """``for x in list``: ``x`` is another name for ``list[i]``, with an ``i`` that nobody sees."""
    check_name(body, node)
    check_name(body, node._replace(name=node.value))
    listed, span = body.expr(node.listed), body.span(node)
    if isinstance(listed.type, MapT):
        return (maps.entries(body, node, listed, _round),)
    type_ = w.strip(listed.type.type) if isinstance(listed.type, WitT) else None
    if not isinstance(type_, w.ListT):
        raise body.error(node.listed, f"{a(listed.type)} has no elements to go through",
                         "maps and lists of WIT have, and ranges such as 0..3")  # fmt: skip
    if node.value:
        raise body.error(node, "a list has no keys", f"write for {node.name} in …")
    position = Variable(node.name, U32, Kind.LOCAL, False, span.script, span)
    element = WitT(type_.element)
    meaning = Element(element, listed, Var(U32, position, span), span)
    _, inner = _named_round(body, node, element, Kind.MEANING, meaning)
    return (For(position, Const(U32, 0, span), Length(U32, listed, span), inner, span),)


def jump(body: Body, node: s.Jump) -> tuple[Stmt, ...]:
    if not body.loops:
        raise body.error(node, f"there is no loop that {node.word} could mean",
                         "it stands in while or for")  # fmt: skip
    return (Jump(node.word == "continue", body.span(node)),)


def leave(body: Body, node: s.Leave) -> tuple[Stmt, ...]:
    span = body.span(node)
    if body.kind == "global":
        raise body.error(node, "there is nothing to return from at the top of a script")
    if body.kind == "function":
        return (_return_of_function(body, node, span),)
    if body.wit is not None:
        return (wit_return(body, node),)
    if node.value is None:
        return (Return(None, span),)
    if body.mode != "alt":
        raise body.error(node, "only alt probes return a value",
                         "it would stay on the stack of the function")  # fmt: skip
    found = body.event.find("res0") if body.event is not None else None
    want = found.type if found is not None else None
    return (Return(body.value(node.value, want), span),)


def _return_of_function(body: Body, node: s.Leave, span: Span) -> Stmt:
    assert body.result is not None
    if node.value is None:
        if body.result != UNIT:
            raise body.error(node, f"this function returns {a(body.result)}", "write return value;")
        return Return(None, span)
    if body.result == UNIT:
        raise body.error(node, "this function returns nothing", 'declare its result with "-> type"')
    return Return(body.typed(node.value, body.result, "the result"), span)


# --- calls as statements -------------------------------------------------------------------------


def do(body: Body, node: s.Do) -> tuple[Stmt, ...]:
    call, span = node.call, body.span(node)
    if isinstance(call, s.Name):
        if body.wit is None:
            raise body.error(node, "trace; writes the record of a call at a WIT boundary",
                             "use it in a rule such as wasi:http/*#*:after")  # fmt: skip
        return (Trace(span),)
    assert isinstance(call, s.Invoke)
    if body.env.watch is not None and call.name == CURSOR:
        body.env.watch(body, call)
        return ()
    own = call.receiver is None and call.name not in body.env.functions
    if own and call.name in maps.STATEMENTS:
        return (maps.STATEMENTS[call.name](body, call),)
    if own and call.name == "print":
        return (maps.drawn(body, call) or print_statement(body, call),)
    if own and call.name in ACTS and _may_act(body, call.name):
        return (_act(body, call),)
    body.statement = call
    return (Evaluate(body.expr(call), span),)


def _may_act(body: Body, name: str) -> bool:
    if body.wit is not None:
        return name in ("proceed", "fail", "delay")
    return body.event is not None and name in body.event.functions


def _act(body: Body, call: s.Invoke) -> Stmt:
    if call.annotation:
        raise body.error(call, f"@{call.annotation} is for calls of libraries")
    params = ACTS[call.name].params
    if len(call.args) != len(params):
        raise body.error(call, f"{call.name} takes {counted(len(params))}, not {len(call.args)}")
    if body.wit is not None:
        return act_of_wit(body, call)
    if body.mode != "alt":
        raise body.error(call, f"{call.name} stands for the instruction, which a probe of mode"
                         f" {body.mode} does not replace",
                         "use it in a probe of mode alt")  # fmt: skip
    args = tuple(
        body.typed(arg, type_, f"the argument of {call.name}")
        for arg, type_ in zip(call.args, params, strict=True)
    )
    for syntax, arg in zip(call.args, args, strict=True):
        if not is_static(arg):
            raise body.error(syntax, "which function it is must be known at match time",
                             "use a constant")  # fmt: skip
    return Act(call.name, args, body.span(call))


STMT_RULES: dict[type, StmtRule] = {
    s.Decl: declare,  # type: ignore[dict-item]
    s.Set: assign,  # type: ignore[dict-item]
    s.Do: do,  # type: ignore[dict-item]
    s.Branch: branch,  # type: ignore[dict-item]
    s.Loop: loop,  # type: ignore[dict-item]
    s.Count: count,  # type: ignore[dict-item]
    s.Each: each,  # type: ignore[dict-item]
    s.Jump: jump,  # type: ignore[dict-item]
    s.Leave: leave,  # type: ignore[dict-item]
}

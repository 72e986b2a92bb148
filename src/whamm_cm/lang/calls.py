"""Checking of calls: user functions, functions of the compiler, methods and libraries."""

from __future__ import annotations

from collections.abc import Iterable

from whamm_cm.lang import callstacks, src_values
from whamm_cm.lang import syntax as s
from whamm_cm.lang.body import Body
from whamm_cm.lang.builtins import ACTS, EVENT_FUNCTIONS, FUNCTIONS, METHODS, WHAMM_CORE
from whamm_cm.lang.leaving import LEAVING
from whamm_cm.lang.library import LibSignature
from whamm_cm.lang.sampling import sample
from whamm_cm.lang.source import listed, suggest
from whamm_cm.lang.texts import check_pattern, format_, str_
from whamm_cm.lang.tree import (
    Bound,
    Builtin,
    Call,
    Const,
    Expr,
    Kind,
    Length,
    LibCall,
    Src,
    Var,
    Variable,
)
from whamm_cm.lang.types import AGGREGATIONS, COUNTERS, a
from whamm_cm.lang.valtypes import I32, STR, U32, MapT, Type, WitT
from whamm_cm.lang.walk import Node, children
from whamm_cm.wit import types as w


def invoke(body: Body, node: s.Invoke, want: Type | None) -> Expr:
    """A call in an expression; calls that are statements come here from ``stmts.py``."""
    if node.receiver is not None:
        return _method(body, node)
    if node.annotation:
        raise body.error(node, f"@{node.annotation} is for calls of libraries",
                         "write for instance @static lib.f(1)")  # fmt: skip
    function = body.env.functions.get(node.name)
    if function is not None:
        if body.kind == "global":
            raise body.error(node, "functions cannot be called at the top of a script",
                             "call it in a probe")  # fmt: skip
        args = _args(body, node, [param.type for param in function.params])
        return Call(function.result, function, args, body.span(node))
    special = _SPECIAL.get(node.name)
    if special is not None:
        return special(body, node)
    builtin = FUNCTIONS.get(node.name)
    if builtin is None and body.event is not None and node.name in body.event.functions:
        builtin = EVENT_FUNCTIONS.get(node.name)
    if builtin is None:
        raise _no_function(body, node)
    if body.initialising and not builtin.initial:
        raise body.error(node, f"{node.name} reads what may change, but {body.initialising} is"
                         " initialised once",
                         "declare first and assign in a statement of its own")  # fmt: skip
    return Builtin(builtin.result, node.name, _args(body, node, builtin.params), body.span(node))


def _no_function(body: Body, node: s.Invoke) -> Exception:
    if node.name in EVENT_FUNCTIONS or node.name in ACTS:
        if (
            body.event is not None
            and node.name in body.event.functions
            or (body.wit is not None and node.name in ("proceed", "fail", "delay"))
        ):
            return body.error(node, f"{node.name} has no value", "call it as a statement")
        return body.error(node, f"{node.name} cannot be called in {body.place()}")
    if node.name in AGGREGATIONS or node.name in COUNTERS:
        hint = f"declare var x = {node.name}(); and write x = {node.name}(…);"
        return body.error(node, f"{node.name}(…) can only be assigned", hint)
    known = [
        *body.env.functions,
        *FUNCTIONS,
        *_SPECIAL,
        *(body.event.functions if body.event else ()),
    ]
    error = body.error(node, f'there is no function "{node.name}"', suggest(node.name, known))
    error.about = node.name
    return error


def counted(number: int) -> str:
    return f"{number} argument{'' if number == 1 else 's'}"


def _args(body: Body, node: s.Invoke, params: Iterable[Type]) -> tuple[Expr, ...]:
    wanted = list(params)
    if len(node.args) != len(wanted):
        takes = f"({', '.join(map(str, wanted))})"
        raise body.error(node, f"{node.name} takes {counted(len(wanted))} {takes}, not"
                         f" {len(node.args)}")  # fmt: skip
    return tuple(
        body.typed(arg, type_, f"argument {number} of {node.name}")
        for number, (arg, type_) in enumerate(zip(node.args, wanted, strict=True), 1)
    )


# --- methods and libraries -----------------------------------------------------------------------


def _method(body: Body, node: s.Invoke) -> Expr:
    receiver = node.receiver
    assert receiver is not None
    if isinstance(receiver, s.Name) and not _is_variable(body, receiver.name):
        library = body.env.libraries.get(receiver.name)
        if library is not None:
            return library_call(body, node, library)
        if receiver.name in body.env.known_libraries:
            raise body.error(receiver, f'library "{receiver.name}" is not used',
                             f"add use {receiver.name}; at the top")  # fmt: skip
    if node.annotation:
        raise body.error(node, f"@{node.annotation} is for calls of libraries")
    value = _receiver(body, receiver)
    kind = "map" if isinstance(value.type, MapT) else str(value.type)
    methods = METHODS.get(kind, {})
    found = methods.get(node.name)
    if found is None:
        hint = suggest(node.name, methods) or (f"it has {listed(methods)}" if methods else "")
        raise body.error(node, f'{a(value.type)} has no method "{node.name}"', hint)
    if node.name == "id" and isinstance(value, Var) and value.variable.kind is Kind.GLOBAL:
        return _map_number(body, node, value)
    if kind == "str" and node.name == "matches":
        check_pattern(body, node)
    rest = found.params[1:] if kind == "str" else ()
    return Builtin(found.result, f"{kind}.{node.name}", (value, *_args(body, node, rest)),
                   body.span(node))  # fmt: skip


def _receiver(body: Body, node: s.ExprSyntax) -> Expr:
    """A WIT value has the methods of its text, but for lists, whose length is not that of it; what
    the program's source has, those of what it is in scripts."""
    value = body.expr(node)
    if isinstance(value, Src):
        return body.ended(value, node, shown=True)
    if not isinstance(value.type, WitT):
        return value
    listed = isinstance(w.strip(value.type.type), w.ListT | w.MapT)
    return body.scalar(value, node) if listed else body.shown(value, node)


def _is_variable(body: Body, name: str) -> bool:
    if name in body.locals or name in body.env.globals:
        return True
    if body.wit is not None and name in body.wit.names:
        return True
    return body.event is not None and body.event.find(name) is not None


def library_call(body: Body, node: s.Invoke, library: LibSignature) -> LibCall:
    function = library.functions.get(node.name)
    if function is None:
        hint = suggest(node.name, library.functions)
        raise body.error(node, f'library "{library.name}" has no function "{node.name}"', hint)
    args = _args(body, node, function.params)
    if library is WHAMM_CORE and node.name in _MAP_PRINTS:
        args = _map_printed(body, node, args[0])
    if node.annotation == "init" and node is not body.statement:
        raise body.error(node, "an @init call must be a statement of its own",
                         f"write @init {library.name}.{node.name}(…);")  # fmt: skip
    if node.annotation:
        _all_static(body, node, args)
    return LibCall(function.result, library.name, node.name, args, node.annotation, body.span(node))


_MAP_PRINTS = ("print_map", "print_map_as_csv")


def _global_maps(body: Body) -> list[Variable]:
    """The global maps of the script as whamm numbers them: by name."""
    found = (v for v in body.env.globals.values() if isinstance(v.type, MapT))
    return sorted(found, key=lambda variable: variable.name)


def _numbered(body: Body, node: s.Invoke, variable: Variable, number: int) -> Builtin:
    span = body.span(node)
    args = (Var(variable.type, variable, span), Const(I32, number, span))
    return Builtin(I32, "map.id", args, span)


def _map_number(body: Body, node: s.Invoke, value: Var) -> Builtin:
    if node.args:
        raise body.error(node, f"id takes 0 arguments, not {len(node.args)}")
    number = _global_maps(body).index(value.variable)
    return _numbered(body, node, value.variable, number)


def _map_printed(body: Body, node: s.Invoke, arg: Expr) -> tuple[Expr, ...]:
    """The map itself where it is known which; else the number, and the global maps in order."""
    if isinstance(arg, Builtin) and arg.name == "map.id":
        return (arg,)
    maps = _global_maps(body)
    known = [_numbered(body, node, variable, number) for number, variable in enumerate(maps)]
    number = arg.value if isinstance(arg, Const) else None
    if not isinstance(number, int):
        return (arg, *known)
    if not 0 <= number < len(maps):
        there = listed([f"{at} ({v.name})" for at, v in enumerate(maps)])
        hint = f"there is {there}" if maps else "declare a map at the top of the script"
        raise body.error(node, f"there is no map {number}", hint)
    return (known[number],)


def _all_static(body: Body, node: s.Invoke, args: tuple[Expr, ...]) -> None:
    for syntax, arg in zip(node.args, args, strict=True):
        if not is_static(arg):
            when = "at match time" if node.annotation == "static" else "at initialisation"
            raise body.error(syntax, f"this is not known {when}",
                             "use constants and static bound variables only")  # fmt: skip


def is_static(expr: Expr) -> bool:
    """Whether ``expr`` can be evaluated at match time, given the static bound variables."""
    stack: list[Node] = [expr]
    while stack:
        node = stack.pop()
        if isinstance(node, Bound | Var | Call):
            return False
        if isinstance(node, LibCall) and node.annotation != "static":
            return False
        stack.extend(children(node))
    return True


# --- functions with rules of their own -----------------------------------------------------------


def _memid(body: Body, node: s.Invoke) -> Expr:
    if len(node.args) != 1 or not isinstance(node.args[0], s.Name):
        raise body.error(node, "memid takes the name of a library", "write for instance memid(lib)")
    (arg,) = node.args
    assert isinstance(arg, s.Name)
    library = body.env.libraries.get(arg.name)
    if library is None:
        hint = suggest(arg.name, body.env.libraries) or f"add use {arg.name}; at the top"
        raise body.error(arg, f'there is no library "{arg.name}"', hint)
    if not library.has_memory:
        raise body.error(arg, f'library "{arg.name}" exports no memory')
    return Builtin(U32, "memid", (Const(STR, arg.name, body.span(arg)),), body.span(node))


def _len(body: Body, node: s.Invoke) -> Expr:
    if len(node.args) != 1:
        raise body.error(node, f"len takes 1 argument, not {len(node.args)}")
    operand = body.expr(node.args[0])
    span = body.span(node)
    if isinstance(operand.type, WitT):
        stripped = w.strip(operand.type.type)
        if isinstance(stripped, w.ListT | w.MapT) or (
            isinstance(stripped, w.Prim) and stripped.name == "string"
        ):
            return Length(U32, operand, span)
    elif isinstance(operand, Src):
        return src_values.length(body, node, operand)
    elif operand.type == STR:
        return Builtin(U32, "str.len", (operand,), span)
    elif isinstance(operand.type, MapT):
        return Builtin(U32, "map.len", (operand,), span)
    raise body.error(node, f"{a(operand.type)} has no length", "lists, strings and maps have")


def _handle(body: Body, node: s.Invoke) -> Expr:
    if len(node.args) != 1:
        raise body.error(node, f"handle takes 1 argument, not {len(node.args)}")
    operand = body.expr(node.args[0])
    handles = w.Own | w.Borrow | w.StreamT | w.FutureT
    if isinstance(operand.type, WitT) and isinstance(w.strip(operand.type.type), handles):
        return body.scalar(operand, node.args[0])
    raise body.error(node, f"{a(operand.type)} is no handle")


def _trace_like(body: Body, node: s.Invoke) -> Expr:
    raise body.error(node, f"{node.name} has no value", "call it as a statement")


def _rand(body: Body, node: s.Invoke) -> Expr:
    if len(node.args) > 1:
        raise body.error(node, f"rand takes no argument or 1 (u32), not {len(node.args)}")
    if body.initialising:
        raise body.error(node, f"rand draws anew each time, but {body.initialising} is initialised"
                         " once",
                         "declare first and assign in a statement of its own")  # fmt: skip
    args = tuple(body.typed(arg, U32, "what rand is to be below") for arg in node.args)
    return Builtin(U32, "rand", args, body.span(node))


_SPECIAL = {
    "memid": _memid, "len": _len, "handle": _handle, "str": str_, "format": format_,
    "rand": _rand, "sample": sample,
    **dict.fromkeys(callstacks.SCRIPTS, callstacks.call),
    **dict.fromkeys(("print", "delete", "clear", *LEAVING), _trace_like),
}  # fmt: skip


#: Functions that are words of the language, beside those of ``builtins.py``.
WORDS = (*_SPECIAL, "trace")
#: What editors put where the cursor is, to be told what is known there (``look.py``).
CURSOR = "__whamm_cm_cursor"

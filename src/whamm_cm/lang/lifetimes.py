"""Variables that live otherwise than whoever declares them: ``shared`` ones, of which there is one
for all places of a probe, and ``frame`` ones, one for each time a function runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from whamm_cm.lang import syntax as s
from whamm_cm.lang.body import Body, Env
from whamm_cm.lang.fold import fold_expr
from whamm_cm.lang.source import ScriptError
from whamm_cm.lang.tree import Const, Declare, Expr, Kind, Span, Stmt, Variable
from whamm_cm.lang.types import NUMBERS, a, resolve_type
from whamm_cm.lang.valtypes import BOOL, TupleT, Type

#: Packages of events that happen in a function of a core module.
IN_FUNCTIONS = ("opcode", "func", "block", "line", "source")


def declared_in(node: Any) -> Iterator[s.Decl]:
    """Declarations in syntax, in order."""
    if isinstance(node, s.Decl):
        yield node
    elif isinstance(node, tuple):
        for child in node:
            yield from declared_in(child)


# --- shared --------------------------------------------------------------------------------------


def share(top: Body, node: s.Decl) -> Declare:
    """Makes a variable for all places of the probe that ``node`` stands in."""
    env = top.env
    if node.report and (node.name in env.globals or node.name in env.shared_names):
        raise top.error(node, f'"{node.name}" is reported twice', "rename one of the two")
    type_, init = _type_and_init(top, node)
    span = Span(env.source.number, node.at, node.end)
    env.shared[node.at] = Variable(node.name, type_, Kind.GLOBAL, node.report, env.source.number,
                                   span)  # fmt: skip
    if node.report:
        env.shared_names.add(node.name)
    return Declare(env.shared[node.at], init, span)


def _type_and_init(top: Body, node: s.Decl) -> tuple[Type, Const | None]:
    if node.type is None and node.init is None:
        raise top.error(node, f'nothing says what type "{node.name}" has',
                        f"write shared var {node.name}: u32;")  # fmt: skip
    wanted = None if node.type is None else resolve_type(top.env.source, node.type)
    if node.init is None:
        assert wanted is not None
        return wanted, None
    found: Expr | None = None
    try:
        init = top.value(node.init) if wanted is None else top.typed(node.init, wanted, node.name)
        found = fold_expr(init, {})
    except ScriptError as error:
        if not error.about:  # what the probe knows is not known here
            raise
    if not isinstance(found, Const):
        raise top.error(node.init, "a shared variable starts with a constant, once for all places",
                        "declare first and assign in a statement of its own")  # fmt: skip
    return found.type, found


def declare_shared(body: Body, node: s.Decl) -> tuple[Stmt, ...]:
    if node.unshared or body.kind != "probe":
        where = "is for the places of a probe" if body.kind != "probe" else "cannot be unshared"
        raise body.error(node, f"a shared variable {where}",
                         "leave one of the words out" if node.unshared else
                         "variables at the top are one for the script")  # fmt: skip
    variable = body.env.shared.get(node.at)
    if variable is not None:  # else what is wrong with it has been said
        _name(body, node, variable)
    return ()


def _name(body: Body, node: s.Decl, variable: Variable) -> None:
    if node.name in body.declared:
        raise body.error(node, f'"{node.name}" is declared twice', "rename one of the two")
    body.locals[node.name] = variable
    body.declared.add(node.name)


# --- frame ---------------------------------------------------------------------------------------


def frame_variable(top: Body, node: s.Decl) -> Variable:
    """The variable of that name, which all probes of the script share within a function."""
    env, type_ = top.env, node.type and resolve_type(top.env.source, node.type)
    if node.report or node.unshared:
        word = "report" if node.report else "unshared"
        raise top.error(node, f"a variable of a frame cannot be {word}: it goes with its function",
                        "add it up in a report variable, in wasm:func:exit")  # fmt: skip
    if node.init is not None:
        raise top.error(node.init, "a variable of a frame starts as zero when its function begins",
                        "assign it in wasm:func:entry")  # fmt: skip
    if not type_:
        raise top.error(node, f'nothing says what type "{node.name}" has',
                        f"write frame var {node.name}: u32;")  # fmt: skip
    if not _fits(type_):
        raise top.error(node, f"a variable of a frame cannot be {a(type_)}",
                        "it can be a number, a bool or a tuple of them")  # fmt: skip
    span = Span(env.source.number, node.at, node.end)
    made = Variable(node.name, type_, Kind.FRAME, False, env.source.number, span)
    known = env.frames.setdefault(node.name, made)
    if known.type != type_:
        raise top.error(node, f'"{node.name}" is {a(known.type)} elsewhere in the script',
                        "a variable of a frame has one type")  # fmt: skip
    return known


def _fits(type_: Type) -> bool:
    if isinstance(type_, TupleT):
        return all(map(_fits, type_.items))
    return type_ in NUMBERS or type_ == BOOL


def declare_frame(body: Body, node: s.Decl) -> tuple[Stmt, ...]:
    if body.kind == "global" and node.name in body.env.globals:
        return ()
    variable = frame_variable(body, node)
    check_frame(body, node, variable)
    _name(body, node, variable)
    return ()


def check_frame(body: Body, node: s.Decl | s.Name, variable: Variable) -> None:
    """Variables of frames are for what happens in a function of a core module."""
    if variable.kind is Kind.FRAME and (
        body.event is None or body.event.package not in IN_FUNCTIONS
    ):
        raise body.error(node, f'"{variable.name}" belongs to the function of the program that'
                         f" runs, which {body.place()} knows nothing of",
                         "use it in probes of wasm:opcode, wasm:func and wasm:block")  # fmt: skip


def share_all(env: Env, top: Body, script: s.Script) -> tuple[Declare, ...]:
    """What probes share among their places, before any of them is checked; errors are kept."""
    found: list[Declare] = []
    for item in script.items:
        for node in declared_in(item.body) if isinstance(item, s.ProbeSyntax) else ():
            if node.lives == "shared":
                with env.going_on():
                    found.append(share(top, node))
    return tuple(found)

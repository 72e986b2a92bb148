"""Whole bodies and functions, and what the module around them must import."""

from __future__ import annotations

from collections.abc import Sequence

# What compiles each class of node; ``body`` knows none of them.
from whamm_cm.emit.script import expressions as expressions
from whamm_cm.emit.script import statements as statements
from whamm_cm.emit.script.body import WIT_PATHS, Body
from whamm_cm.emit.script.env import Env, Needs, Pool, Recorder
from whamm_cm.emit.script.strings import BUILTINS
from whamm_cm.emit.script.types import flats
from whamm_cm.lang import tree as t
from whamm_cm.lang.walk import Node, children, walk
from whamm_cm.wasm.asm import Func


def compile_body(
    f: Func,
    stmts: Sequence[t.Stmt],
    env: Env,
    *,
    predicate: t.Expr | None = None,
    pool: Pool | None = None,
) -> None:
    """Append the statements to ``f``, under ``if predicate`` when there is one.

    Parameters of ``f`` stand for all locals of the function around; new locals come behind.  Give
    one ``pool`` per function when several bodies go into it.
    """
    body = Body(f, env, pool)
    body.block((t.If(predicate, tuple(stmts)),) if predicate is not None else stmts)
    body.close()


def compile_expr(f: Func, expr: t.Expr, env: Env, pool: Pool | None = None) -> None:
    """Push the flats of ``expr``."""
    body = Body(f, env, pool)
    body.expr(expr)
    body.close()


def compile_function(f: Func, function: t.Function, env: Env) -> None:
    """The body of a user function whose parameters are the parameters of ``f``."""
    params: dict[t.Variable, tuple[int, ...]] = {}
    start = 0
    for variable in function.params:
        size = len(flats(variable.type))
        params[variable] = tuple(range(start, start + size))
        start += size
    body = Body(f, env, params=params, returns=function.result)
    body.block(function.body)
    body.zero(function.result)


def needs(
    stmts: Sequence[t.Stmt],
    *,
    predicate: t.Expr | None = None,
    memory: bool = False,
    cells_in_memory: bool = False,
) -> Needs:
    """What the module around must import; ``memory``: it can import the state memory."""
    recorder = Recorder(0 if memory else None, cells_in_memory)
    f = Func(0, 0, ())
    compile_body(f, stmts, recorder, predicate=predicate)
    for node in walk(*stmts, *((predicate,) if predicate is not None else ())):
        _record_hidden(f, node, recorder)
    return recorder.needs


def _record_hidden(f: Func, node: Node, recorder: Recorder) -> None:
    """What is compiled where only the place knows how: arguments of acts, paths into WIT values."""
    known = isinstance(node, t.Builtin) and node.name in BUILTINS
    if known or not isinstance(node, (t.Act, t.Return, t.Builtin, *WIT_PATHS)):
        return
    for child in children(node):
        if isinstance(child, t.Bound):
            recorder.bound(child.name)
        elif not isinstance(child, WIT_PATHS):
            compile_expr(f, child, recorder)  # type: ignore[arg-type]


def light(stmts: Sequence[t.Stmt], predicate: t.Expr | None = None) -> bool:
    """No call and no state memory: the body is put inline."""
    return needs(stmts, predicate=predicate).light

"""Checking of what is done with maps and aggregations as a whole: delete, clear, loops."""

from __future__ import annotations

from collections.abc import Callable

from whamm_cm.lang import syntax as s
from whamm_cm.lang.body import Body
from whamm_cm.lang.numbers import zero
from whamm_cm.lang.tree import (
    Assign,
    Clear,
    Const,
    Delete,
    Draw,
    Entries,
    Expr,
    Kind,
    MapGet,
    Static,
    Stmt,
    TupleGet,
    Var,
)
from whamm_cm.lang.types import a
from whamm_cm.lang.valtypes import FUNCREF, U32, AggT, MapT, Prim, TupleT, is_histogram


def is_table(body: Body, table: Expr) -> bool:
    """Whether a map is known when weaving: ``targets``, or a local name for it."""
    local = isinstance(table, Var) and table.variable.kind is Kind.LOCAL
    return isinstance(table, Static) or (local and body.kind != "function")


def _changing(body: Body, node: s.ExprSyntax, table: Expr) -> None:
    if is_table(body, table):
        raise body.error(node, "this map is known when the script is woven and does not change",
                         "its keys are the numbers below num_targets")  # fmt: skip


def _argument(body: Body, call: s.Invoke) -> s.ExprSyntax:
    if len(call.args) != 1:
        raise body.error(call, f"{call.name} takes 1 argument, not {len(call.args)}",
                         f"write {_EXAMPLES[call.name]}")  # fmt: skip
    return call.args[0]


def _delete(body: Body, call: s.Invoke) -> Stmt:
    node = _argument(body, call)
    target = body.expr(node)
    if not isinstance(target, MapGet):
        hint = "write delete(m[key]); clear(m); empties all of it"
        raise body.error(node, "delete takes an entry of a map", hint)
    _changing(body, node, target.map)
    return Delete(target, body.span(call))


def _clear(body: Body, call: s.Invoke) -> Stmt:
    node = _argument(body, call)
    target = root = body.expr(node)
    while isinstance(root, MapGet | TupleGet):
        root = root.map if isinstance(root, MapGet) else root.operand
    if not isinstance(root, Var | Static) or target.type == FUNCREF:
        raise body.error(node, "clear empties variables, and this is none", "write clear(x);")
    if isinstance(target.type, MapT):
        _changing(body, node, target)
    if isinstance(target.type, MapT | AggT):
        return Clear(target, body.span(call))
    assert isinstance(target.type, Prim | TupleT)
    return Assign(target, Const(target.type, zero(target.type), target.span), body.span(call))


def drawn(body: Body, call: s.Invoke) -> Stmt | None:
    """``print(m);`` of a map or an aggregation; None where it prints something else."""
    node = call.args[0] if call.args else None
    if not isinstance(node, s.Name | s.Index | s.Dot):
        return None
    target = body.expr(node)
    if not isinstance(target.type, MapT | AggT):
        return None
    _changing(body, node, target)
    title, limit = body.env.source.text[node.at : node.end], None
    if isinstance(target.type, MapT) or is_histogram(target.type):
        title += f": {target.type}"
    if len(call.args) > 2 or (len(call.args) == 2 and not isinstance(target.type, MapT)):
        raise body.error(call, f"print takes {a(target.type)} alone", "write a print of its own")
    if len(call.args) == 2:
        limit = body.typed(call.args[1], U32, "how many entries are shown")
    return Draw(target, title, limit, body.span(call))


_EXAMPLES = {"delete": "delete(m[key]);", "clear": "clear(m);"}
#: Calls that are statements.
STATEMENTS: dict[str, Callable[[Body, s.Invoke], Stmt]] = {"delete": _delete, "clear": _clear}


def entries(
    body: Body, node: s.Each, table: Expr, round_: Callable[[Body, s.Block], tuple[Stmt, ...]]
) -> Stmt:
    """``for k in m`` and ``for (k, v) in m``.  The name of a value that is itself a map or an
    aggregation stands for ``m[k]``."""
    assert isinstance(table.type, MapT)
    _changing(body, node.listed, table)
    outer, before = body.declared, dict(body.locals)
    body.declared = set()
    key = body.declare(node, node.name, table.type.key, Kind.LOCAL)
    value, kind = None, table.type.value
    if node.value:
        if isinstance(kind, MapT | AggT):
            meaning = MapGet(kind, table, Var(key.type, key, key.span), key.span)
            body.declare(node, node.value, kind, Kind.MEANING, meaning=meaning)
        else:
            value = body.declare(node, node.value, kind, Kind.LOCAL)
    inner = round_(body, node.body)
    body.declared = outer
    for name in (node.name, node.value):
        body.locals.pop(name, None)
        if name in before:
            body.locals[name] = before[name]
    return Entries(table, key, value, inner, body.span(node))

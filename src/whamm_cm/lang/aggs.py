"""Checking of aggregations: how they are declared, and what adds a sample."""

from __future__ import annotations

from whamm_cm.lang import syntax as s
from whamm_cm.lang.body import Body
from whamm_cm.lang.fold import fold_expr
from whamm_cm.lang.tree import Cast, Const, Expr, Sample, Stmt, Update
from whamm_cm.lang.types import AGGREGATIONS, COUNTERS, INTEGERS, a, lhist
from whamm_cm.lang.valtypes import I64, AggT, Type

#: Arguments behind the sample.
_BOUNDS = {"lhist": 3}


def called(body: Body, node: s.ExprSyntax | None) -> s.Invoke | None:
    """``node`` if it calls an aggregation, and no function of the script of that name."""
    if not isinstance(node, s.Invoke) or node.receiver is not None or node.annotation:
        return None
    known = node.name in AGGREGATIONS or node.name in COUNTERS
    return node if known and node.name not in body.env.functions else None


def declared(body: Body, node: s.ExprSyntax) -> Type | None:
    """The type that ``var x = hist();`` means, None where it is no such declaration."""
    call = called(body, node)
    if call is None:
        return None
    if len(call.args) != _BOUNDS.get(call.name, 0):
        shown = f"{call.name}({'low, high, step' if call.name in _BOUNDS else ''})"
        raise body.error(call, "a declaration adds no sample",
                         f"write {shown} here, and what is added in a statement")  # fmt: skip
    return COUNTERS.get(call.name) or _type(body, call, call.args)


def _type(body: Body, call: s.Invoke, bounds: tuple[s.ExprSyntax, ...]) -> AggT:
    if call.name not in _BOUNDS:
        return AGGREGATIONS[call.name]
    found: list[int] = []
    for node in bounds:
        value = fold_expr(body.typed(node, I64, "a bound of lhist"), {})
        if not isinstance(value, Const) or not isinstance(value.value, int):
            raise body.error(node, "the bounds of lhist are constants", "write a number")
        found.append(value.value)
    return lhist(body.env.source, tuple(found), call.at, call.end)


def sample(body: Body, node: s.Set, target: Expr) -> Stmt:
    """``x = hist(e);``: ``x`` is an aggregation."""
    call = called(body, node.value)
    kind = str(target.type).partition("(")[0]
    if node.op or call is None or call.name != kind:
        more = ", low, high, step" if kind in _BOUNDS else ""
        raise body.error(node, f"{a(target.type)} only takes samples",
                         f"write x = {kind}(value{more});")  # fmt: skip
    value = _value(body, call)
    if _type(body, call, call.args[1:]) != target.type:
        raise body.error(call, f"the bounds are those of {a(target.type)} everywhere",
                         f"write {str(target.type).replace('(', '(value, ')}")  # fmt: skip
    return Sample(target, value, body.span(node))


def adding(body: Body, node: s.Set, target: Expr) -> Stmt | None:
    """``n = count();`` and ``n = sum(e);``: ``n`` is an integer."""
    call = called(body, node.value)
    if call is None or call.name not in COUNTERS or node.op:
        return None
    if target.type not in INTEGERS:
        raise body.error(node, f"{call.name} adds to an integer, this is {a(target.type)}",
                         f"declare var x = {call.name}();")  # fmt: skip
    value: Expr = Const(target.type, 1, body.span(call))
    if call.name == "sum":
        value = _value(body, call)
        value = value if value.type == target.type else Cast(target.type, value, value.span)
    elif call.args:
        raise body.error(call, f"count takes no argument, not {len(call.args)}", "sum(e) adds e up")
    return Update(target, "+", value, body.span(node))


def _value(body: Body, call: s.Invoke) -> Expr:
    """The sample, an i64."""
    bounds = _BOUNDS.get(call.name, 0)
    if len(call.args) != 1 + bounds:
        takes = "1 argument" if not bounds else "4 arguments: value, low, high, step"
        raise body.error(call, f"{call.name} takes {takes}, not {len(call.args)}")
    value = body.value(call.args[0], I64)
    if value.type not in INTEGERS:
        raise body.error(call.args[0], f"a sample is an integer, this is {a(value.type)}",
                         "write as i64 behind it")  # fmt: skip
    return value if value.type == I64 else Cast(I64, value, value.span)

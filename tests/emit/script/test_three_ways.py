"""Folded, compiled and interpreted: the same answer."""

from __future__ import annotations

import math
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.emit.script.programs import BOUND, PAIR, SCALARS, STATIC, expressions, facts
from tests.emit.script.rig import Machine, State
from tests.emit.script.tiny import Tiny, same
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.fold import fold_expr

EXAMPLES = int(os.environ.get("WHAMM_EXAMPLES", "60"))
SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
_STATE: list[State] = []


def state() -> State:
    """One runtime for all: expressions leave nothing in it."""
    if not _STATE:
        _STATE.append(State())
    return _STATE[0]


TYPES = st.sampled_from((*SCALARS, vt.STR, PAIR))


@SETTINGS
@given(TYPES.flatmap(expressions), facts(STATIC), facts(BOUND))
def test_expressions(expr: t.Expr, statics: dict[str, Any], bound: dict[str, Any]) -> None:
    expected = Tiny(statics | bound).expr(expr)
    folded = fold_expr(expr, statics)
    assert same(Tiny(bound).expr(folded), expected)
    everything = fold_expr(_closed(expr, bound), statics)
    assert isinstance(everything, t.Const), "no dynamic leaf is left"
    assert same(everything.value, expected)
    for candidate in (expr, folded):
        machine = Machine(result=candidate, bound=BOUND, statics=statics, state=state())
        assert same(machine.run(*(bound[name] for name in BOUND)), expected)


def _closed(expr: Any, bound: dict[str, Any]) -> Any:
    """``expr`` with bound variables as constants."""
    from dataclasses import fields, replace

    if isinstance(expr, t.Bound):
        return t.Const(expr.type, bound[expr.name])
    if isinstance(expr, tuple):
        return tuple(_closed(e, bound) for e in expr)
    if not hasattr(expr, "__dataclass_fields__") or isinstance(expr, vt.Prim | vt.TupleT | t.Span):
        return expr
    return replace(expr, **{f.name: _closed(getattr(expr, f.name), bound) for f in fields(expr)})


@pytest.mark.parametrize("kind", ["u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64"])
@pytest.mark.parametrize("source", ["f32", "f64"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30, -1e30, 300.7, -300.7, -0.9])
def test_floats_saturate(kind: str, source: str, value: float) -> None:
    start = Tiny().expr(t.Cast(vt.Prim(source), t.Const(vt.F64, value)))
    expr = t.Cast(vt.Prim(kind), t.Bound(vt.Prim(source), "x"))
    expected = Tiny({"x": start}).expr(expr)
    machine = Machine(result=expr, bound={"x": vt.Prim(source)}, state=state())
    assert machine.run(start) == expected
    assert fold_expr(t.Cast(vt.Prim(kind), t.Const(vt.Prim(source), start)), {}).value == expected  # type: ignore[union-attr]

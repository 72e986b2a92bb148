"""Hypothesis strategies of well-typed expressions and statements."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st

from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.numbers import INTS

INTEGERS = tuple(map(vt.Prim, ("u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64")))
FLOATS = (vt.F32, vt.F64)
NUMBERS = (*INTEGERS, *FLOATS)
SCALARS = (*NUMBERS, vt.BOOL)
PAIR = vt.TupleT((vt.I32, vt.TupleT((vt.U8, vt.F64))))
TEXTS = ("", "a", "ab", "b", "fd_write", "fd", "write", "é", "func 7")
_LOOKS = ("str.eq", "str.starts_with", "str.ends_with", "str.contains")
BOUND: dict[str, vt.Type] = {f"b_{p}": p for p in SCALARS} | {"b_pair": PAIR, "b_str": vt.STR}
STATIC: dict[str, vt.Type] = {f"s_{p}": p for p in SCALARS} | {"s_str": vt.STR}


@cache
def values(type: vt.Type) -> st.SearchStrategy[Any]:
    """Values of a type, with a taste for the borders."""
    if isinstance(type, vt.TupleT):
        return st.tuples(*map(values, type.items))
    name = type.name  # type: ignore[union-attr]
    if name == "bool":
        return st.booleans()
    if name == "str":
        return st.sampled_from(TEXTS)
    if name in ("f32", "f64"):
        return st.floats(width=32 if name == "f32" else 64, allow_nan=False) | st.sampled_from(
            (0.0, -0.0, 1.0, -1.5, 300.0, 1e10, -1e10, float("inf"))
        )
    kind = INTS[name]
    borders = [
        v for v in (0, 1, 2, 3, 31, 33, -1, kind.low, kind.high) if kind.low <= v <= kind.high
    ]
    return st.sampled_from(borders) | st.integers(kind.low, kind.high)


@cache
def _leaf(type: vt.Type) -> st.SearchStrategy[t.Expr]:
    named = [t.Bound(type, n) for n, kind in BOUND.items() if kind == type]
    named += [t.Static(type, n) for n, kind in STATIC.items() if kind == type]
    consts = values(type).map(lambda value: t.Const(type, value))
    return st.sampled_from(named) | consts if named else consts


@cache
def expressions(type: vt.Type, depth: int = 3) -> st.SearchStrategy[t.Expr]:
    if depth == 0:
        return _leaf(type)
    less = depth - 1
    choices = [_leaf(type), _ternary(type, less)]
    if isinstance(type, vt.TupleT):
        parts = st.tuples(*(expressions(item, less) for item in type.items))
        choices.append(parts.map(lambda items: t.TupleMake(type, items)))
    elif type == vt.BOOL:
        choices += _conditions(less)
    elif type in NUMBERS:
        choices += _numbers(type, less)
    return st.one_of(choices)


def _ternary(type: vt.Type, less: int) -> st.SearchStrategy[t.Expr]:
    return st.builds(
        lambda c, a, b: t.Ternary(type, c, a, b),
        expressions(vt.BOOL, less),
        expressions(type, less),
        expressions(type, less),
    )


def _pairs(type: vt.Type, ops: tuple[str, ...], less: int, result: vt.Type) -> Any:
    return st.builds(
        lambda op, a, b: t.Binary(result, op, a, b),
        st.sampled_from(ops),
        expressions(type, less),
        expressions(type, less),
    )


def _conditions(less: int) -> list[Any]:
    compare = st.sampled_from(NUMBERS).flatmap(
        lambda kind: _pairs(kind, ("==", "!=", "<", ">", "<=", ">="), less, vt.BOOL)
    )
    texts = st.builds(
        lambda name, a, b: t.Builtin(vt.BOOL, name, (a, b)),
        st.sampled_from(_LOOKS),
        expressions(vt.STR, less),
        expressions(vt.STR, less),
    )
    negated = expressions(vt.BOOL, less).map(lambda e: t.Unary(vt.BOOL, "!", e))
    return [
        compare,
        texts,
        negated,
        _pairs(vt.BOOL, ("&&", "||"), less, vt.BOOL),
        _casts(vt.BOOL, less),
    ]


def _casts(type: vt.Type, less: int) -> Any:
    return st.sampled_from(SCALARS).flatmap(
        lambda source: expressions(source, less).map(lambda e: t.Cast(type, e))
    )


def _numbers(type: vt.Type, less: int) -> list[Any]:
    floats = type in FLOATS
    ops = ("+", "-", "*", "/", "%") + (() if floats else ("&", "|", "^", "<<", ">>"))
    unary = ("-",) if floats else ("-", "~")
    choices = [
        _pairs(type, ops, less, type),
        _casts(type, less),
        st.builds(
            lambda op, e: t.Unary(type, op, e), st.sampled_from(unary), expressions(type, less)
        ),
    ]
    if type == vt.F64:
        inner = expressions(PAIR, less).map(lambda e: t.TupleGet(PAIR.items[1], e, 1))
        choices.append(inner.map(lambda e: t.TupleGet(vt.F64, e, 1)))
    if type == vt.U32:
        choices.append(expressions(vt.STR, less).map(lambda e: t.Builtin(vt.U32, "str.len", (e,))))
    return choices


def facts(names: dict[str, vt.Type]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({name: values(kind) for name, kind in names.items()})

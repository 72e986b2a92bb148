"""Hypothesis strategies of well-typed expressions and statements."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st

from whamm_cm.lang import tree as t
from whamm_cm.lang.numbers import INTS

INTEGERS = tuple(map(t.Prim, ("u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64")))
FLOATS = (t.F32, t.F64)
NUMBERS = (*INTEGERS, *FLOATS)
SCALARS = (*NUMBERS, t.BOOL)
PAIR = t.TupleT((t.I32, t.TupleT((t.U8, t.F64))))
TEXTS = ("", "a", "ab", "b", "fd_write", "fd", "write", "é", "func 7")
_LOOKS = ("str.eq", "str.starts_with", "str.ends_with", "str.contains")
BOUND: dict[str, t.Type] = {f"b_{p}": p for p in SCALARS} | {"b_pair": PAIR, "b_str": t.STR}
STATIC: dict[str, t.Type] = {f"s_{p}": p for p in SCALARS} | {"s_str": t.STR}


@cache
def values(type: t.Type) -> st.SearchStrategy[Any]:
    """Values of a type, with a taste for the borders."""
    if isinstance(type, t.TupleT):
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
def _leaf(type: t.Type) -> st.SearchStrategy[t.Expr]:
    named = [t.Bound(type, n) for n, kind in BOUND.items() if kind == type]
    named += [t.Static(type, n) for n, kind in STATIC.items() if kind == type]
    consts = values(type).map(lambda value: t.Const(type, value))
    return st.sampled_from(named) | consts if named else consts


@cache
def expressions(type: t.Type, depth: int = 3) -> st.SearchStrategy[t.Expr]:
    if depth == 0:
        return _leaf(type)
    less = depth - 1
    choices = [_leaf(type), _ternary(type, less)]
    if isinstance(type, t.TupleT):
        parts = st.tuples(*(expressions(item, less) for item in type.items))
        choices.append(parts.map(lambda items: t.TupleMake(type, items)))
    elif type == t.BOOL:
        choices += _conditions(less)
    elif type in NUMBERS:
        choices += _numbers(type, less)
    return st.one_of(choices)


def _ternary(type: t.Type, less: int) -> st.SearchStrategy[t.Expr]:
    return st.builds(
        lambda c, a, b: t.Ternary(type, c, a, b),
        expressions(t.BOOL, less),
        expressions(type, less),
        expressions(type, less),
    )


def _pairs(type: t.Type, ops: tuple[str, ...], less: int, result: t.Type) -> Any:
    return st.builds(
        lambda op, a, b: t.Binary(result, op, a, b),
        st.sampled_from(ops),
        expressions(type, less),
        expressions(type, less),
    )


def _conditions(less: int) -> list[Any]:
    compare = st.sampled_from(NUMBERS).flatmap(
        lambda kind: _pairs(kind, ("==", "!=", "<", ">", "<=", ">="), less, t.BOOL)
    )
    texts = st.builds(
        lambda name, a, b: t.Builtin(t.BOOL, name, (a, b)),
        st.sampled_from(_LOOKS),
        expressions(t.STR, less),
        expressions(t.STR, less),
    )
    negated = expressions(t.BOOL, less).map(lambda e: t.Unary(t.BOOL, "!", e))
    return [
        compare,
        texts,
        negated,
        _pairs(t.BOOL, ("&&", "||"), less, t.BOOL),
        _casts(t.BOOL, less),
    ]


def _casts(type: t.Type, less: int) -> Any:
    return st.sampled_from(SCALARS).flatmap(
        lambda source: expressions(source, less).map(lambda e: t.Cast(type, e))
    )


def _numbers(type: t.Type, less: int) -> list[Any]:
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
    if type == t.F64:
        inner = expressions(PAIR, less).map(lambda e: t.TupleGet(PAIR.items[1], e, 1))
        choices.append(inner.map(lambda e: t.TupleGet(t.F64, e, 1)))
    if type == t.U32:
        choices.append(expressions(t.STR, less).map(lambda e: t.Builtin(t.U32, "str.len", (e,))))
    return choices


def facts(names: dict[str, t.Type]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({name: values(kind) for name, kind in names.items()})

"""Hypothesis strategies of WIT types and of values of a type.

``wit_types(max_depth)`` makes any value type, ``values_of(t)`` values in the shapes that
``whamm_cm.abi.values`` documents, ``wit_funcs()`` function types.  Compare values with ``same``.
"""

from __future__ import annotations

import math
import struct
from typing import Any

from hypothesis import strategies as st

from whamm_cm.abi.layout import variant_cases
from whamm_cm.wit.types import (
    Borrow,
    EnumT,
    FlagsT,
    FuncT,
    FutureT,
    ListT,
    MapT,
    Named,
    OptionT,
    Own,
    Prim,
    RecordT,
    Resource,
    ResultT,
    StreamT,
    TupleT,
    ValType,
    VariantT,
    strip,
)

INT_RANGES = {
    "s8": (-(1 << 7), (1 << 7) - 1),
    "u8": (0, (1 << 8) - 1),
    "s16": (-(1 << 15), (1 << 15) - 1),
    "u16": (0, (1 << 16) - 1),
    "s32": (-(1 << 31), (1 << 31) - 1),
    "u32": (0, (1 << 32) - 1),
    "s64": (-(1 << 63), (1 << 63) - 1),
    "u64": (0, (1 << 64) - 1),
}
KEY_NAMES = ("bool", *INT_RANGES, "char", "string")
PRIM_NAMES = (*KEY_NAMES, "f32", "f64", "error-context")

_LABELS = ("a", "b", "c-d", "e2", "some-longer-label")
_FILE = Resource("file", "test:fs/types@1.0.0")


def labels(count: int) -> tuple[str, ...]:
    return tuple(f"l{i}" for i in range(count))


def prims() -> st.SearchStrategy[ValType]:
    return st.sampled_from(PRIM_NAMES).map(Prim)


def handles() -> st.SearchStrategy[ValType]:
    payload = st.none() | prims()
    return st.one_of(
        st.builds(Own, st.just(_FILE)),
        st.builds(Borrow, st.just(_FILE)),
        st.builds(StreamT, payload),
        st.builds(FutureT, payload),
    )


def enums() -> st.SearchStrategy[ValType]:
    """Some need a 2-byte discriminant."""
    return st.sampled_from((1, 2, 3, 255, 256, 257)).map(lambda n: EnumT(labels(n)))


def flag_sets() -> st.SearchStrategy[ValType]:
    """One per size class, from both sides of each border; over 32 is the older spec's."""
    return st.sampled_from((1, 8, 9, 16, 17, 32, 33, 64, 65)).map(lambda n: FlagsT(labels(n)))


@st.composite
def _compound(draw: st.DrawFn, inner: st.SearchStrategy[ValType]) -> ValType:
    names = st.lists(st.sampled_from(_LABELS), min_size=1, max_size=4, unique=True)
    optional = st.none() | inner
    kind = draw(st.sampled_from(("list", "fixed", "map", "record", "tuple", "variant", "option",
                                 "result", "named")))  # fmt: skip
    match kind:
        case "list":
            return ListT(draw(inner))
        case "fixed":
            return ListT(draw(inner), draw(st.integers(1, 4)))
        case "map":
            return MapT(Prim(draw(st.sampled_from(KEY_NAMES))), draw(inner))
        case "record":
            return RecordT(tuple((name, draw(inner)) for name in draw(names)))
        case "tuple":
            return TupleT(tuple(draw(st.lists(inner, min_size=1, max_size=4))))
        case "variant":
            return VariantT(tuple((name, draw(optional)) for name in draw(names)))
        case "option":
            return OptionT(draw(inner))
        case "result":
            return ResultT(draw(optional), draw(optional))
    return Named("thing", draw(st.sampled_from((None, "test:pkg/face@0.1.0"))), draw(inner))


def wit_types(max_depth: int = 3) -> st.SearchStrategy[ValType]:
    """Value types with at most ``max_depth`` levels of compound types around a leaf."""
    found: st.SearchStrategy[ValType] = st.one_of(prims(), handles(), enums(), flag_sets())
    for _ in range(max_depth):
        found = st.one_of(found, _compound(found))
    return found


def wit_funcs(max_depth: int = 2, max_params: int = 6) -> st.SearchStrategy[FuncT]:
    types = wit_types(max_depth)
    params = st.lists(types, max_size=max_params)
    named = params.map(lambda ts: tuple((f"p{i}", t) for i, t in enumerate(ts)))
    return st.builds(FuncT, named, st.none() | types, st.booleans())


def ints(name: str) -> st.SearchStrategy[int]:
    low, high = INT_RANGES[name]
    return st.sampled_from((low, high, 0, 1)) | st.integers(low, high)


def floats(width: int) -> st.SearchStrategy[float]:
    special = st.sampled_from((math.nan, math.inf, -math.inf, 0.0, -0.0, 1.5))
    return special | (st.floats(width=32) if width == 32 else st.floats(width=64))


def chars() -> st.SearchStrategy[str]:
    edges = st.sampled_from("\0a\x7f\x80ÿĀ\ud7ff\ue000\uffff\U00010000😀\U0010ffff")
    return edges | st.characters(exclude_categories=["Cs"])


def texts() -> st.SearchStrategy[str]:
    edges = st.sampled_from(("", "a", "\0", "é", "ÿĀ", "😀", "日本語", "e\u0301", "a" * 300))
    return edges | st.text(chars(), max_size=20) | st.text(st.characters(max_codepoint=0xFF))


def values_of(t: ValType, max_size: int = 4) -> st.SearchStrategy[Any]:
    """Values of ``t``; lists and maps have up to ``max_size`` elements (bytes 16 times that)."""
    t = strip(t)
    match t:
        case Prim(name):
            return _prim_values(name)
        case ListT(element, int(length)):
            return st.lists(values_of(element, max_size), min_size=length, max_size=length)
        case ListT(element):
            if getattr(strip(element), "name", None) == "u8":
                return st.binary(max_size=16 * max_size)
            return st.lists(values_of(element, max_size), max_size=max_size)
        case MapT(key, value):
            entry = st.tuples(values_of(key, max_size), values_of(value, max_size)).map(list)
            return st.lists(entry, max_size=max_size, unique_by=lambda pair: pair[0])
        case RecordT(fields):
            names = [name for name, _ in fields]
            items = st.tuples(*(values_of(field, max_size) for _, field in fields))
            return items.map(lambda drawn: dict(zip(names, drawn, strict=True)))
        case TupleT(types):
            return st.tuples(*(values_of(item, max_size) for item in types)).map(list)
        case FlagsT(names):
            chosen = st.sets(st.sampled_from(names)) if names else st.just(set())
            return chosen.map(lambda some: [name for name in names if name in some])
        case EnumT(names):
            return st.sampled_from((names[0], names[-1])) | st.sampled_from(names)
        case OptionT(inner):
            some = values_of(inner, max_size)
            nested = isinstance(strip(inner), OptionT)
            return st.none() | (some.map(lambda v: {"some": v}) if nested else some)
        case VariantT() | ResultT():
            return st.one_of([_case(label, p, max_size) for label, p in variant_cases(t)])
    return ints("u32")


def _case(label: str, payload: ValType | None, max_size: int) -> st.SearchStrategy[Any]:
    inner = st.none() if payload is None else values_of(payload, max_size)
    return inner.map(lambda value: {label: value})


def _prim_values(name: str) -> st.SearchStrategy[Any]:
    if name in INT_RANGES:
        return ints(name)
    table: dict[str, st.SearchStrategy[Any]] = {
        "bool": st.booleans(),
        "f32": floats(32),
        "f64": floats(64),
        "char": chars(),
        "string": texts(),
        "error-context": ints("u32"),
    }
    return table[name]


@st.composite
def typed_values(draw: st.DrawFn, max_depth: int = 3) -> tuple[ValType, Any]:
    """A type and a value of it."""
    t = draw(wit_types(max_depth))
    return t, draw(values_of(t))


def same(a: object, b: object) -> bool:
    """Equality of values that tells types, -0.0 and 0.0 apart and finds a NaN equal to a NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float) and isinstance(b, float):
        return (a != a and b != b) or struct.pack("<d", a) == struct.pack("<d", b)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return a == b

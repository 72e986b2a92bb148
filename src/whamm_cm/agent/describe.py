"""Reported script types as WIT types, which is how the site table and the decoders know them."""

from __future__ import annotations

from whamm_cm.errors import InternalError
from whamm_cm.lang import valtypes as vt
from whamm_cm.wit.types import ListT, OptionT, Prim, TupleT, ValType

_PRIMS = {
    **{f"i{bits}": Prim(f"s{bits}") for bits in (8, 16, 32, 64)},
    **{name: Prim(name) for name in ("u8", "u16", "u32", "u64", "f32", "f64", "bool")},
    "str": Prim("string"),
}
_AGGS: dict[str, ValType] = {
    "hist": ListT(TupleT((Prim("u64"), Prim("u64")))),
    "min": OptionT(Prim("s64")),
    "max": OptionT(Prim("s64")),
    **dict.fromkeys(("avg", "stats"), TupleT((Prim("u64"), Prim("s64")))),
    **dict.fromkeys(("quantize", "lhist"), ListT(TupleT((Prim("s64"), Prim("u64"))))),
}


def wit_type(t: vt.Type) -> ValType:
    """The WIT type of a reported value: a map is a list of pairs, a histogram a list of (least
    sample, count), ``min`` and ``max`` an option<s64>, ``avg`` and ``stats`` (count, sum).

    Raises InternalError for a type that cannot be reported.
    """
    match t:
        case vt.Prim(name) if name in _PRIMS:
            return _PRIMS[name]
        case vt.TupleT(items):
            return TupleT(tuple(map(wit_type, items)))
        case vt.MapT(key, value):
            return ListT(TupleT((wit_type(key), wit_type(value))))
        case vt.AggT(name):
            return _AGGS[name]
    raise InternalError(f"a variable of type {t} cannot be reported")

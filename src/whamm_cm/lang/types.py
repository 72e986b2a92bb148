"""Types as scripts write them, and what can be done with them."""

from __future__ import annotations

import re

from whamm_cm.lang import syntax as s
from whamm_cm.lang.source import Source, listed, suggest
from whamm_cm.lang.valtypes import (
    BOOL,
    F32,
    F64,
    FUNCREF,
    I8,
    I16,
    I32,
    I64,
    MAX_BUCKETS,
    STR,
    U8,
    U16,
    U32,
    U64,
    UNIT,
    AggT,
    MapT,
    Prim,
    TupleT,
    Type,
    WitT,
)
from whamm_cm.wit import types as w

PRIMS: dict[str, Prim] = {
    t.name: t for t in (U8, I8, U16, I16, U32, I32, F32, U64, I64, F64, BOOL, STR, FUNCREF)
}
#: ``lhist`` also has bounds, which are part of the type.
AGGREGATIONS: dict[str, AggT] = {
    name: AggT(name) for name in ("hist", "min", "max", "avg", "stats", "quantize", "lhist")
}
#: Aggregations that are a number underneath.
COUNTERS: dict[str, Prim] = {"count": U64, "sum": I64}

INTEGERS = frozenset((U8, I8, U16, I16, U32, I32, U64, I64))
FLOATS = frozenset((F32, F64))
NUMBERS = INTEGERS | FLOATS

#: Bits of an integer type; negative when it is signed.
_BITS = {U8: 8, I8: -8, U16: 16, I16: -16, U32: 32, I32: -32, U64: 64, I64: -64}

_FOREIGN = {
    "int": "i32", "long": "i64", "uint": "u32", "float": "f32", "double": "f64", "string": "str",
    "String": "str", "boolean": "bool", "char": "u32", "usize": "u32", "s8": "i8", "s16": "i16",
    "s32": "i32", "s64": "i64", "void": "()", "handle": "u32",
}  # fmt: skip


def wrap(value: int, type_: Type) -> int:
    """``value`` as that integer type holds it."""
    bits = _BITS[type_]  # type: ignore[index]
    value &= (1 << abs(bits)) - 1
    return value - (1 << -bits) if bits < 0 and value >> (-bits - 1) else value


def resolve_type(source: Source, type_: s.TypeSyntax) -> Type:
    """Raises ScriptError for unknown names and impossible keys."""
    match type_:
        case s.TypeName(name, at, end):
            found = PRIMS.get(name) or AGGREGATIONS.get(name) or COUNTERS.get(name)
            if name == "lhist":
                raise source.error("lhist needs its bounds", at, end, _LHIST)
            if found is None:
                known = _FOREIGN.get(name)
                hint = f'did you mean "{known}"?' if known else suggest(name, [*PRIMS, "map"])
                hint = hint or f"there are {listed(PRIMS, 20)}, tuples and map<K, V>"
                raise source.error(f'there is no type "{name}"', at, end, hint)
            return found
        case s.BoundedType(name, bounds, at, end):
            if name != "lhist":
                raise source.error(f'"{name}" has no bounds', at, end, f"only lhist has: {_LHIST}")
            return lhist(source, bounds, at, end)
        case s.TupleType(items, at, end):
            members = tuple(resolve_type(source, item) for item in items)
            for syntax, member in zip(items, members, strict=True):
                if not isinstance(member, Prim | TupleT):
                    raise source.error(f"a tuple cannot hold {a(member)}", syntax.at, syntax.end,
                                       "use several variables")  # fmt: skip
            return TupleT(members)
        case s.MapType(key, value):
            handles = isinstance(key, s.TypeName) and key.name == "handle"
            key_type = U32 if handles else resolve_type(source, key)
            value_type = resolve_type(source, value)
            if isinstance(value_type, MapT) and value_type.handles:
                raise source.error("a map keyed by handles is no value", value.at, value.end, _TOP)
            if not _is_key(key_type):
                raise source.error(f"{a(key_type)} cannot be the key of a map", key.at, key.end,
                                   "keys are numbers, bool, str and tuples of them")  # fmt: skip
            if value_type in (FUNCREF, UNIT):
                raise source.error(f"{a(value_type)} cannot be the value of a map", value.at,
                                   value.end)  # fmt: skip
            return MapT(key_type, value_type, handles)


_TOP = "declare it as a variable at the top of the script"
_LHIST = "write lhist(low, high, step), for instance lhist(0, 100, 10)"


def lhist(source: Source, bounds: tuple[int, ...], at: int, end: int) -> AggT:
    """The type with these bounds: low, high, step."""
    if len(bounds) != 3:
        raise source.error("the bounds of lhist are three numbers", at, end, _LHIST)
    low, high, step = bounds
    if step < 1 or high <= low:
        what = f"{high} is not above {low}" if step > 0 else f"{step} is no width"
        raise source.error(f"{what}", at, end, _LHIST)
    if -(-(high - low) // step) > MAX_BUCKETS:
        raise source.error(f"more than {MAX_BUCKETS} buckets", at, end, "take a larger step")
    # -2⁶³ stands for what is below low; the agent computes with the width and a step in 64 bits.
    if max(high, high - low, step) >= 1 << 63 or low <= -(1 << 63):
        raise source.error("these bounds are beyond 64 bits", at, end, "take smaller ones")
    return AggT("lhist", bounds)


def _is_key(type_: Type) -> bool:
    if isinstance(type_, TupleT):
        return bool(type_.items) and all(_is_key(item) for item in type_.items)
    return isinstance(type_, Prim) and type_ != FUNCREF


def a(type_: Type) -> str:
    """How messages call a type: ``a u32``, ``a map<u32, i32>``, ``a WIT record``."""
    if isinstance(type_, WitT):
        return f"a WIT {_wit_word(type_.type)}"
    if isinstance(type_, TupleT):
        return f"a tuple {type_}"
    return f"{'an' if re.match('[ai]|f[0-9]', str(type_)) else 'a'} {type_}"


_WIT_WORDS: dict[type, str] = {
    w.ListT: "list", w.MapT: "map", w.RecordT: "record", w.TupleT: "tuple", w.VariantT: "variant",
    w.EnumT: "enum", w.FlagsT: "set of flags", w.OptionT: "option", w.ResultT: "result",
    w.Own: "handle", w.Borrow: "handle", w.StreamT: "stream", w.FutureT: "future",
}  # fmt: skip


def _wit_word(type_: w.ValType) -> str:
    stripped = w.strip(type_)
    word = stripped.name if isinstance(stripped, w.Prim) else _WIT_WORDS[type(stripped)]
    return f"{word} {type_.name}" if isinstance(type_, w.Named) else word


_TOKEN = re.compile(r"\s*([A-Za-z_]\w*|[(),])")


def parse_type(source: Source, text: str, at: int) -> Type:
    """The type of a bound inside a match rule, which the grammar does not look into."""
    words = _TOKEN.findall(text)
    if len(words) == 1:
        return resolve_type(source, s.TypeName(words[0], at, at + len(text)))
    raise source.error(f'"{text}" bounds no operand', at, at + len(text),
                       f"use one of {listed(PRIMS, 20)}")  # fmt: skip

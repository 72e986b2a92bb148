"""The types of script variables as records name them: their text, initial values, shapes."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

from whamm_cm.lang import valtypes as vt

MEANS = ("avg", "stats")
AGGREGATIONS = (*vt.HISTOGRAMS, "min", "max", *MEANS)
#: A type nested deeper is no type of ours.
_MAX_DEPTH = 32

INTS = ("u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64")
FLOATS = ("f32", "f64")
_NO_TYPE = vt.Prim("")
_HUGE = sys.float_info.max


@lru_cache(maxsize=4096)
def parse_type(text: str) -> vt.Type:
    """The type of that text; a word it does not know is a primitive of that name."""
    return _Types(text.replace(" ", "")).whole(0)


class _Types:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def whole(self, depth: int) -> vt.Type:
        if depth > _MAX_DEPTH:
            self._at = len(self._text)
            return _NO_TYPE
        if self._take("map<"):
            key = self.whole(depth + 1)
            self._take(",")
            value = self.whole(depth + 1)
            self._take(">")
            return vt.MapT(key, value)
        if self._take("("):
            items = []
            while self._at < len(self._text) and not self._take(")"):
                items.append(self.whole(depth + 1))
                self._take(",")
            return vt.TupleT(tuple(items))
        start = self._at
        while self._at < len(self._text) and self._text[self._at] not in "(),<>":
            self._at += 1
        word = self._text[start : self._at]
        if not word:  # what is no type at all must not keep us here
            self._at = len(self._text)
        if word == "lhist" and self._take("("):
            end = self._text.find(")", self._at)
            inner, self._at = self._text[self._at : end], end + 1 if end >= 0 else len(self._text)
            bounds = inner.split(",") if end >= 0 else []
            numbers = tuple(map(int, bounds)) if all(map(_integer, bounds)) else ()
            return vt.AggT(word, numbers) if _bounded(*numbers) else _NO_TYPE
        return vt.AggT(word) if word in AGGREGATIONS else vt.Prim(word)

    def _take(self, part: str) -> bool:
        found = self._text.startswith(part, self._at)
        self._at += len(part) * found
        return found


def _bounded(*numbers: int) -> bool:
    """Whether a script can give an ``lhist`` these bounds: all its buckets are shown."""
    if len(numbers) != 3:
        return False
    low, high, step = numbers
    return step > 0 and -(-(high - low) // step) <= vt.MAX_BUCKETS


def initial(t: vt.Type) -> Any:
    """The value before anything happened, as JSON has it."""
    match t:
        case vt.TupleT(items):
            return [initial(item) for item in items]
        case vt.MapT() | vt.AggT("hist" | "quantize" | "lhist"):
            return []
        case vt.AggT("avg" | "stats"):
            return [0, 0]
        case vt.AggT():
            return None
        case vt.Prim("bool"):
            return False
        case vt.Prim("str"):
            return ""
        case vt.Prim("f32" | "f64"):
            return 0.0
    return 0


def value_fault(text: str, value: Any) -> str:
    """Why ``value`` is no value of the type of that text, "" if it is one."""
    return "" if _fits(parse_type(text), value) else f"no value of type {text:.60}"


def _fits(t: vt.Type, value: Any) -> bool:
    match t:
        case vt.TupleT(items):
            good = isinstance(value, list) and len(value) == len(items)
            return good and all(map(_fits, items, value))
        case vt.MapT(key, inner):
            return _pairs(key, inner, value)
        case vt.AggT("hist" | "quantize" | "lhist"):
            return _pairs(vt.I64, vt.U64, value)
        case vt.AggT("avg" | "stats"):
            return isinstance(value, list) and len(value) == 2 and all(map(_integer, value))
        case vt.AggT():
            return value is None or _integer(value)
        case vt.Prim(name):
            return _PRIMS.get(name, _plain)(value)
    return False


def _pairs(key: vt.Type, inner: vt.Type, value: Any) -> bool:
    if isinstance(value, dict):  # cut
        value = value.get("~list")
    return isinstance(value, list) and all(
        isinstance(pair, list) and len(pair) == 2 and _fits(key, pair[0]) and _fits(inner, pair[1])
        for pair in value
    )


def _integer(value: Any) -> bool:
    """A number, or its digits, as version 1 has what exceeds 2^53."""
    if type(value) is int:
        return -1 << 63 <= value < 1 << 64
    if not isinstance(value, str) or not 0 < len(value) <= 20:
        return False
    digits = value.removeprefix("-")
    return digits.isascii() and digits.isdigit()


def _float(value: Any) -> bool:
    if isinstance(value, str):
        return value in ("nan", "inf", "-inf")
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and -_HUGE <= value <= _HUGE
    )


def _string(value: Any) -> bool:
    if isinstance(value, str):
        return True
    if not isinstance(value, dict):
        return False
    if "~str" in value:
        return isinstance(value["~str"], str)
    return "~redacted" in value or "~bad" in value


def _bool(value: Any) -> bool:
    return isinstance(value, bool)


def _plain(value: Any) -> bool:
    """A value of a type we have no name for: anything that is one word."""
    return value is None or isinstance(value, str | int | float)


_PRIMS = {
    **dict.fromkeys(INTS, _integer),
    **dict.fromkeys(FLOATS, _float),
    "bool": _bool,
    "str": _string,
}

"""What arithmetic means in a script, in Python; the code generator emits the same in WebAssembly.

Integers wrap to their type after every operation.  Shift counts are taken modulo 32 (64 for the
64-bit types).  Division and remainder by zero are 0 and the smallest number divided by -1 is
itself: a probe must not trap where the program would not (whamm traps).  ``a % b`` of floats is
``a - floor(a / b) * b`` with the sign of ``a``, as whamm computes it.  Floats become integers by
truncation and saturation, NaN becomes 0.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

from whamm_cm.dataclass import dataclass
from whamm_cm.lang.valtypes import Type


@dataclass(frozen=True, slots=True)
class Int:
    """An integer type; ``bool`` counts as one of one bit."""

    bits: int
    signed: bool

    @property
    def core(self) -> str:
        return "i64" if self.bits == 64 else "i32"

    @property
    def low(self) -> int:
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        return (1 << (self.bits - self.signed)) - 1

    def wrap(self, value: int) -> int:
        value &= (1 << self.bits) - 1
        return value - (1 << self.bits) if self.signed and value >> (self.bits - 1) else value


INTS: dict[str, Int] = {
    "u8": Int(8, False), "i8": Int(8, True), "u16": Int(16, False), "i16": Int(16, True),
    "u32": Int(32, False), "i32": Int(32, True), "u64": Int(64, False), "i64": Int(64, True),
    "bool": Int(1, False),
}  # fmt: skip
FLOATS = frozenset({"f32", "f64"})


def name_of(type: Type) -> str:
    """The name of a primitive type, "" for any other."""
    return getattr(type, "name", "")


def f32(value: float) -> float:
    """``value`` rounded to single precision."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def f32_of_int(value: int) -> float:
    """An integer of up to 64 bits rounded once: bits a double would lose become a sticky bit."""
    if abs(value) < 1 << 53:
        return f32(float(value))
    size = abs(value)
    size = size >> 16 | (size & 0xFFFF != 0)
    return math.copysign(f32(float(size)) * 65536.0, value)


def rounded(name: str, value: float) -> float:
    return f32(value) if name == "f32" else value


def _quotient(a: int, b: int) -> int:
    if b == 0:
        return 0
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def _divide(a: float, b: float) -> float:
    if b:
        return a / b
    if a == 0 or math.isnan(a) or math.isnan(b):
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)


def _floor(value: float) -> float:
    if not math.isfinite(value):
        return value
    return math.copysign(float(math.floor(value)), value)


def _float_remainder(name: str, a: float, b: float) -> float:
    floor = _floor(rounded(name, _divide(a, b)))
    return math.copysign(rounded(name, a - rounded(name, floor * b)), a)


_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}
_INTEGER: dict[str, Callable[[int, int, int], int]] = {
    "+": lambda a, b, _: a + b,
    "-": lambda a, b, _: a - b,
    "*": lambda a, b, _: a * b,
    "/": lambda a, b, _: _quotient(a, b),
    "%": lambda a, b, _: a - b * _quotient(a, b) if b else 0,
    "&": lambda a, b, _: a & b,
    "|": lambda a, b, _: a | b,
    "^": lambda a, b, _: a ^ b,
    "<<": lambda a, b, mask: a << (b & mask),
    ">>": lambda a, b, mask: a >> (b & mask),
}
_FLOAT: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
}


def binary(op: str, name: str, a: float, b: float) -> int | float | bool:
    """``a op b``, both of the type called ``name``; not for ``&&`` and ``||``."""
    if op in _COMPARE:
        return _COMPARE[op](a, b)
    if name in FLOATS:
        if op == "%":
            return _float_remainder(name, a, b)
        return rounded(name, _FLOAT[op](a, b))
    kind = INTS[name]
    result = kind.wrap(_INTEGER[op](int(a), int(b), 63 if kind.bits == 64 else 31))
    return bool(result) if name == "bool" else result


def unary(op: str, name: str, a: float) -> int | float | bool:
    """``!`` (true for zero), ``~`` or ``-`` on a value of the type called ``name``."""
    if op == "!":
        return not a
    if name in FLOATS:
        return -a
    result = INTS[name].wrap(~int(a) if op == "~" else -int(a))
    return bool(result) if name == "bool" else result


def cast(target: str, source: str, value: float) -> int | float | bool:
    """``value`` of type ``source`` as ``target``."""
    if target == "bool":
        return value != 0
    if target in FLOATS:
        if target == "f32" and source not in FLOATS:
            return f32_of_int(int(value))
        return rounded(target, float(value))
    kind = INTS[target]
    if source not in FLOATS:
        return kind.wrap(int(value))
    if math.isnan(value):
        return 0
    if math.isinf(value):
        return kind.high if value > 0 else kind.low
    return max(kind.low, min(kind.high, int(value)))


def normal(type: Type, value: object) -> object:
    """A value as ``Const`` holds it: integers in range of the type, floats rounded, true bools."""
    name = name_of(type)
    if name == "bool":
        return bool(value)
    if name in INTS:
        return INTS[name].wrap(int(value))  # type: ignore[call-overload]
    if name in FLOATS:
        return rounded(name, float(value))  # type: ignore[arg-type]
    if isinstance(value, tuple):
        return tuple(map(normal, type.items, value))  # type: ignore[union-attr]
    return value


def zero(type: Type) -> object:
    """The value a variable of ``type`` starts with; None where there is no constant (maps …)."""
    name = name_of(type)
    if name in INTS:
        return False if name == "bool" else 0
    if name in FLOATS:
        return 0.0
    if name == "str":
        return ""
    items = getattr(type, "items", None)
    if isinstance(items, tuple):
        parts = tuple(map(zero, items))
        return None if None in parts else parts
    return None

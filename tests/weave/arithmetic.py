"""What the numeric instructions compute, in Python: integers as unsigned, floats as floats.

Not exact for NaN bits; a trap is an ArithmeticError.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

Operation = tuple[int, Callable[..., Any]]

FORMATS = {"i32": "<I", "i64": "<Q", "f32": "<f", "f64": "<d"}


def signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value


def single(value: float) -> float:
    """The nearest f32."""
    try:
        found: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)
    return found


def _quotient(a: int, b: int, low: int, high: int) -> int:
    found = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    if not low <= found <= high:
        raise OverflowError("integer overflow")
    return found


def _remainder(a: int, b: int) -> int:
    return abs(a) % abs(b) * (-1 if a < 0 else 1)


def _integers(t: str, bits: int) -> dict[str, Operation]:
    mask, low, high = (1 << bits) - 1, -(1 << bits - 1), (1 << bits - 1) - 1

    def s(value: int) -> int:
        return signed(value, bits)

    found: dict[str, Operation] = {
        "add": (2, lambda a, b: a + b & mask),
        "sub": (2, lambda a, b: a - b & mask),
        "mul": (2, lambda a, b: a * b & mask),
        "div_s": (2, lambda a, b: _quotient(s(a), s(b), low, high) & mask),
        "div_u": (2, lambda a, b: a // b),
        "rem_s": (2, lambda a, b: _remainder(s(a), s(b)) & mask),
        "rem_u": (2, lambda a, b: a % b),
        "and": (2, lambda a, b: a & b),
        "or": (2, lambda a, b: a | b),
        "xor": (2, lambda a, b: a ^ b),
        "shl": (2, lambda a, b: a << b % bits & mask),
        "shr_u": (2, lambda a, b: a >> b % bits),
        "shr_s": (2, lambda a, b: s(a) >> b % bits & mask),
        "rotl": (2, lambda a, b: (a << b % bits | a >> (bits - b % bits)) & mask),
        "rotr": (2, lambda a, b: (a >> b % bits | a << (bits - b % bits)) & mask),
        "clz": (1, lambda a: bits - a.bit_length()),
        "ctz": (1, lambda a: (a & -a).bit_length() - 1 if a else bits),
        "popcnt": (1, lambda a: a.bit_count()),
        "eqz": (1, lambda a: int(a == 0)),
        "eq": (2, lambda a, b: int(a == b)),
        "ne": (2, lambda a, b: int(a != b)),
        "lt_s": (2, lambda a, b: int(s(a) < s(b))),
        "lt_u": (2, lambda a, b: int(a < b)),
        "gt_s": (2, lambda a, b: int(s(a) > s(b))),
        "gt_u": (2, lambda a, b: int(a > b)),
        "le_s": (2, lambda a, b: int(s(a) <= s(b))),
        "le_u": (2, lambda a, b: int(a <= b)),
        "ge_s": (2, lambda a, b: int(s(a) >= s(b))),
        "ge_u": (2, lambda a, b: int(a >= b)),
    }
    for width in (8, 16, 32)[: 3 if bits == 64 else 2]:
        found[f"extend{width}_s"] = (1, lambda a, width=width: signed(a, width) & mask)
    return {f"{t}.{name}": operation for name, operation in found.items()}


def _divide(a: float, b: float) -> float:
    if b:
        return a / b
    if math.isnan(a) or not a:
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1, b)


def _least(a: float, b: float) -> float:
    if math.isnan(a) or math.isnan(b):
        return math.nan
    return min(a, b) if a != b else (a if math.copysign(1, a) < 0 else b)


def _to_whole(way: Callable[[float], int]) -> Callable[[float], float]:
    return lambda a: math.copysign(float(way(a)), a) if math.isfinite(a) else a


def _floats(t: str, rounded: Callable[[float], float]) -> dict[str, Operation]:
    found: dict[str, Operation] = {
        "add": (2, lambda a, b: rounded(a + b)),
        "sub": (2, lambda a, b: rounded(a - b)),
        "mul": (2, lambda a, b: rounded(a * b)),
        "div": (2, lambda a, b: rounded(_divide(a, b))),
        "min": (2, _least),
        "max": (2, lambda a, b: -_least(-a, -b)),
        "copysign": (2, math.copysign),
        "abs": (1, lambda a: math.copysign(a, 1)),
        "neg": (1, lambda a: -a),
        "sqrt": (1, lambda a: rounded(math.sqrt(a)) if a >= 0 else math.nan),
        "ceil": (1, _to_whole(math.ceil)),
        "floor": (1, _to_whole(math.floor)),
        "trunc": (1, _to_whole(math.trunc)),
        "nearest": (1, _to_whole(round)),
        "eq": (2, lambda a, b: int(a == b)),
        "ne": (2, lambda a, b: int(a != b)),
        "lt": (2, lambda a, b: int(a < b)),
        "gt": (2, lambda a, b: int(a > b)),
        "le": (2, lambda a, b: int(a <= b)),
        "ge": (2, lambda a, b: int(a >= b)),
    }
    return {f"{t}.{name}": operation for name, operation in found.items()}


def _whole(bits: int, is_signed: bool, saturates: bool) -> Callable[[float], int]:
    """A float as an integer, cut towards zero."""
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if is_signed else (0, (1 << bits) - 1)

    def convert(value: float) -> int:
        if math.isnan(value):
            found = 0
        else:
            found = math.trunc(value) if math.isfinite(value) else (high if value > 0 else low) * 2
        if not saturates and (math.isnan(value) or not low <= found <= high):
            raise OverflowError("integer overflow")
        return min(max(found, low), high) & (1 << bits) - 1

    return convert


def _conversions() -> dict[str, Operation]:
    found: dict[str, Operation] = {
        "i32.wrap_i64": (1, lambda a: a & 0xFFFF_FFFF),
        "i64.extend_i32_u": (1, lambda a: a),
        "i64.extend_i32_s": (1, lambda a: signed(a, 32) & 0xFFFF_FFFF_FFFF_FFFF),
        "f32.demote_f64": (1, single),
        "f64.promote_f32": (1, lambda a: a),
    }
    for whole, real in (("i32", "f32"), ("i64", "f64")):
        for to, of in ((whole, real), (real, whole)):
            found[f"{to}.reinterpret_{of}"] = (
                1,
                lambda a, to=to, of=of: struct.unpack(FORMATS[to], struct.pack(FORMATS[of], a))[0],
            )
    for whole, bits in (("i32", 32), ("i64", 64)):
        for real, rounded in (("f32", single), ("f64", float)):
            for sign in "su":
                for sat in ("", "_sat"):
                    name = f"{whole}.trunc{sat}_{real}_{sign}"
                    found[name] = (1, _whole(bits, sign == "s", bool(sat)))
            found[f"{real}.convert_{whole}_u"] = (1, lambda a, rounded=rounded: rounded(float(a)))
            found[f"{real}.convert_{whole}_s"] = (
                1,
                lambda a, bits=bits, rounded=rounded: rounded(float(signed(a, bits))),
            )
    return found


#: How many operands each instruction takes, and what it makes of them.
OPERATIONS: dict[str, Operation] = {
    **_integers("i32", 32),
    **_integers("i64", 64),
    **_floats("f32", single),
    **_floats("f64", float),
    **_conversions(),
}

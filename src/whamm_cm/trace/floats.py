"""The shortest decimal digits of an ``f32``, as ``repr`` gives them for an ``f64``."""

from __future__ import annotations

import math
import struct
from fractions import Fraction
from functools import lru_cache

_F32 = struct.Struct("<f")
_I32 = struct.Struct("<I")


def shortest32(value: float) -> float:
    """The float whose ``repr`` is the shortest text that reads back as the f32 ``value``.

    ``value`` has to be finite and exactly an f32; 0.10000000149011612 becomes 0.1.
    """
    if value == int(value) and abs(value) < 1 << 24:
        return value
    bits: int = _I32.unpack(_F32.pack(value))[0]
    exponent, mantissa = bits >> 23 & 0xFF, bits & 0x7FFFFF
    if exponent and mantissa:
        # Both borders are exact in double, so being strictly between them is exact, too.
        half = math.ldexp(1.0, exponent - 151)
        low, high = value - half, value + half
        for digits in (6, 7, 8, 9):
            candidate = float(f"{value:.{digits}g}")
            if low < candidate < high:
                return candidate
            if candidate in (low, high):
                break
    return math.copysign(_exact(exponent, mantissa), value)


@lru_cache(maxsize=1024)
def _exact(exponent: int, mantissa: int) -> float:
    """For subnormals and powers of two: few digits, or borders at unequal distances."""
    whole = mantissa | (1 << 23 if exponent else 0)
    unit = Fraction(2) ** (max(exponent, 1) - 150)
    value = whole * unit
    below = unit / 4 if exponent > 1 and not mantissa else unit / 2
    low, high = value - below, value + unit / 2
    place = math.floor(math.log10(value)) + 1  # at most one too high
    while True:
        step = Fraction(10) ** place
        floor = value // step
        near = [
            (abs(digits * step - value), digits % 2, digits)
            for digits in (floor, floor + 1)
            if digits and _inside(digits * step, low, high, whole % 2 == 0)
        ]
        if near:
            return float(min(near)[2] * step)
        place -= 1


def _inside(value: Fraction, low: Fraction, high: Fraction, with_borders: bool) -> bool:
    """A text on the border reads back as the neighbour with the even mantissa."""
    return low <= value <= high if with_borders else low < value < high

"""Shortest digits of an f32, held against an exhaustive search over decimal texts."""

from __future__ import annotations

import math
import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whamm_cm.trace.floats import shortest32


def single(bits: int) -> float:
    value: float = struct.unpack("<f", struct.pack("<I", bits))[0]
    return value


def digits_of(text: str) -> int:
    return len(text.split("e")[0].replace(".", "").strip("-0")) or 1


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        (0x00000000, "0.0"),
        (0x80000000, "-0.0"),
        (0x3DCCCCCD, "0.1"),
        (0x7F7FFFFF, "3.4028235e+38"),
        (0x00000001, "1e-45"),
        (0x00800000, "1.1754944e-38"),
        (0x4B800000, "16777216.0"),
        (0x5A0E1BCA, "1e+16"),
        (0xBF9D70A4, "-1.23"),
    ],
)
def test_known(bits: int, text: str) -> None:
    assert repr(shortest32(single(bits))) == text


@given(st.integers(0, 0x7F7FFFFE) | st.integers(0, 254).map(lambda e: e << 23))
def test_reads_back_and_no_shorter_text_does(bits: int) -> None:
    value, exact = single(bits), Fraction(single(bits))
    found = shortest32(value)
    assert struct.pack("<f", found) == struct.pack("<f", value)
    digits = digits_of(repr(found))
    if digits > 1:
        place = Fraction(10) ** (math.floor(math.log10(value)) - digits + 2)
        for candidate in (exact // place * place, (exact // place + 1) * place):
            assert nearest_single(candidate) != value


def nearest_single(value: Fraction) -> float:
    """Correct rounding by comparing with the neighbours of a first guess."""
    guess = struct.unpack("<I", struct.pack("<f", min(float(value), single(0x7F7FFFFF))))[0]
    near = [b for b in (guess - 1, guess, guess + 1) if 0 <= b < 0x7F800000]
    return single(min(near, key=lambda b: (abs(Fraction(single(b)) - value), b & 1)))

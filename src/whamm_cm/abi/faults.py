"""What this room raises, and how it shows a value in a message."""

from __future__ import annotations

import reprlib

from whamm_cm.errors import InputError


class AbiError(InputError):
    """A type or a value that the canonical ABI cannot carry, or guest memory that does not hold
    what its type says (CanonicalABI.md traps in the same places)."""


def show(value: object) -> str:
    """A short form of any value, however large (``repr`` refuses integers over 4300 digits)."""
    if isinstance(value, int) and value.bit_length() > 128:
        return f"an integer of {value.bit_length()} bits"
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return reprlib.repr(value)
    return f"a {type(value).__name__}"

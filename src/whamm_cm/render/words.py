"""Numbers in sentences."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """``1 call``, ``2 calls``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def were(number: int, noun: str) -> str:
    """``1 call was``, ``2 calls were``."""
    return f"{counted(number, noun)} {'was' if number == 1 else 'were'}"

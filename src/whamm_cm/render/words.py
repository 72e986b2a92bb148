"""Numbers in sentences."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """``1 call``, ``2 calls``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def were(number: int, noun: str) -> str:
    """``1 call was``, ``2 calls were``."""
    return f"{counted(number, noun)} {'was' if number == 1 else 'were'}"


def brief_ns(ns: float | None) -> str:
    """A duration in three digits: ``41.9ms``; "" for none."""
    if ns is None:
        return ""
    value = ns / 1000
    for unit in ("µs", "ms", "s"):
        if value < 999.5 or unit == "s":
            break
        value /= 1000
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}{unit}"


def brief_bytes(count: float) -> str:
    """A size in three digits: ``4.0K``; "" for none."""
    value = float(count)
    for unit in ("", "K", "M", "G", "T"):
        if value < 1000 or unit == "T":
            break
        value /= 1024
    if not count:
        return ""
    return f"{value:.0f}" if not unit else f"{value:.{1 if value < 99.95 else 0}f}{unit}"

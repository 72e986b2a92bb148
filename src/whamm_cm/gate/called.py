"""A record as evidence: under every name its function goes by, without what is masked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from whamm_cm.trace.reader import Record

#: What a masked secret looks like; nothing shorter is masked but in the query of a URL.
_MASKED = re.compile(r"\*{6,}")
#: Values are not nested deeper than that.
_DEPTH = 64


def reading(record: Record, interface: str, func: str) -> Record:
    """The record by one of its :func:`names`.

    Strings with a masked part are as unknown as redacted ones: a component must not escape
    judgement by what it sent as a secret before.
    """
    shown: Record = {key: hidden(record[key]) for key in ("args", "result") if key in record}
    return {**record, **shown, "interface": interface, "func": func}


def names(record: Record) -> list[tuple[str, str]]:
    """Interface and function by every name the record has: that at the root (several where its
    component has instances that were given different things), and the one its component uses."""
    return list(dict.fromkeys(_names(record)))


def _names(record: Record) -> Iterator[tuple[str, str]]:
    interface = record.get("interface", "")
    first, *more = record.get("func", "").split("|")
    yield interface, first
    for word in more:
        owner, sharp, func = word.rpartition("#")
        yield (owner.partition("@")[0] if sharp else interface), func
    inner = record.get("inner")
    if inner is not None:
        yield inner.get("interface", ""), inner.get("func", "")


def hidden(value: Any, depth: int = 0) -> Any:
    """``value`` with every string that a secret was masked in as a redacted one."""
    if isinstance(value, str):
        return {"~redacted": len(value)} if _MASKED.search(value) else value
    if depth > _DEPTH:
        return value
    if isinstance(value, list):
        return [hidden(one, depth + 1) for one in value]
    if isinstance(value, dict):
        return {key: hidden(one, depth + 1) for key, one in value.items()}
    return value

"""What the page's filter has to know of ``-e``: the classes, and other names of functions.

The language itself is in ``assets/sets.js``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from whamm_cm.trace.calls import Site
from whamm_cm.trace.records import Record
from whamm_cm.trace.session import Session
from whamm_cm.wit.classes import CLASSES, EDGES


def classes_model(session: Session, numbers: Mapping[Site, int]) -> dict[str, Any]:
    """``model["classes"]``: ``table`` has a row for each class, ``inner`` the names that components
    inside use, by the number of the site as text: ``[interface, version or None, function]``."""
    inner: dict[str, dict[tuple[str, str | None, str], None]] = {}
    for call in session.calls:
        for name in _inner((call.opened, call.closed)):
            inner.setdefault(str(numbers[call.site]), {})[name] = None
    found: dict[str, Any] = {"table": table()}
    if inner:
        found["inner"] = {number: list(names) for number, names in inner.items()}
    return found


def table() -> list[dict[str, Any]]:
    """The classes of ``-e``."""
    return [
        {"name": name, "covers": covers, "patterns": list(patterns), "edge": EDGES.get(name, "")}
        for name, (covers, patterns) in CLASSES.items()
    ]


def _inner(records: Iterable[Record | None]) -> Iterable[tuple[str, str | None, str]]:
    """A label of an instance is in the name of the site already."""
    for record in records:
        inner = record.get("inner") if record else None
        if inner and (":" in inner.get("interface", ":")):
            yield inner.get("interface", ""), inner.get("version"), inner.get("func", "")

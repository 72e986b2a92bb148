"""What the numbers mean that the built-ins of asynchronous calls take and return.

CanonicalABI.md: "Canonical Definitions", ``pack_copy_result``, ``canon_lower``.
"""

from __future__ import annotations

from typing import Any

from whamm_cm.component.canons import COPIES
from whamm_cm.render.words import counted
from whamm_cm.trace.calls import Site
from whamm_cm.trace.ends import End

_BLOCKED = (0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
_COPIED = {0: "completed", 1: "dropped", 2: "cancelled"}
_STATES = {
    0: "starting",
    1: "started",
    2: "returned",
    3: "cancelled before it started",
    4: "cancelled before it returned",
}
_EVENTS = {
    0: "none",
    1: "subtask",
    2: "stream-read",
    3: "stream-write",
    4: "future-read",
    5: "future-write",
    6: "task-cancelled",
}
_CODES = {0: "exit", 1: "yield", 2: "wait", 3: "poll"}
_COPIES = ("read", "write", "cancel-read", "cancel-write")
#: Arguments that are addresses.
_ADDRESS = "ptr"


def result_text(func: str, value: Any) -> str | None:
    """What a built-in returned; None for one whose numbers are just numbers."""
    if type(value) is not int:
        return None
    kind, _, what = func.partition(".")
    if kind in ("stream", "future"):
        if what == "new":
            return f"(readable#{value & 0xFFFFFFFF}, writable#{value >> 32})"
        return _copied(kind, value) if what in _COPIES else None
    if func == "subtask.cancel":
        return "blocked" if value in _BLOCKED else _STATES.get(value)
    if func in ("waitable-set.wait", "waitable-set.poll"):
        return _EVENTS.get(value)
    return None


def argument_text(name: str, value: Any) -> str | None:
    """An argument of a built-in that is an address."""
    return hex(value) if name == _ADDRESS and type(value) is int else None


def _copied(kind: str, value: int) -> str:
    if value in _BLOCKED:
        return "blocked"
    return f"{value >> 4}, {outcome(value)}" if kind == "stream" else outcome(value)


def is_copy(site: Site) -> bool:
    """Whether this reads or writes a stream or future."""
    return site.edge == "builtin" and site.func in COPIES


def copied_text(func: str, value: int, data: str) -> str:
    """What a read or write returned, with the elements it copied as text, "" for none."""
    kind = func.partition(".")[0]
    if value in _BLOCKED or not data:
        return _copied(kind, value)
    said = f"{data}, {outcome(value)}"
    return f"{value >> 4} {said}" if kind == "stream" else said


def outcome(value: int) -> str:
    """What became of a copy that is over."""
    return _COPIED.get(value & 15, str(value & 15))


def total_text(end: End) -> str:
    """What has gone through a stream by the time it is dropped."""
    if not end.copies:
        return "nothing was copied"
    unit = "byte" if end.is_bytes else "element"
    return f"{counted(end.count, unit)} in {counted(end.copies, 'call')}"


def pending_text(edge: str, status: object) -> str:
    """What an async function's core result says that has not returned yet."""
    if type(status) is not int or status in _BLOCKED:
        return "pending" if type(status) is not int else "blocked"
    names, what = (_CODES, "waitable-set") if edge == "export" else (_STATES, "subtask")
    said, index = names.get(status & 15, str(status & 15)), status >> 4
    return f"pending({said}, {what}#{index})" if index else f"pending({said})"

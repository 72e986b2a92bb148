"""Whose line is it, where a host puts a key in front of every line: ``stderr [79] :: text``.

``wasmtime serve`` writes key and line separately, so lines of requests at the same time tear each
other: ``stderr [79] :: stderr [81] :: text of 81``, then ``text of 79`` without a key.
"""

from __future__ import annotations

import re
from collections import OrderedDict

from whamm_cm.trace.records import Record

KEY = re.compile(r"std(?:err|out) \[(\d+)\] :: ")
#: Keys whose line has not come yet, and keys whose numbering is known, at most.
_MAX_ORPHANS, _MAX_KEYS = 256, 65536


class HostKeys:
    """Feed it every line of one source, in order."""

    def __init__(self) -> None:
        self._orphans: list[str] = []  # the longest waiting first
        #: By key: the number its next record has, the time of its last.
        self._next: OrderedDict[str, tuple[int, int]] = OrderedDict()

    @property
    def seen(self) -> bool:
        """Whether this host puts keys in front of lines."""
        return bool(self._next) or bool(self._orphans)

    def feed(self, prefix: str, record: Record | None) -> str:
        """The key of a line: ``prefix`` stands before the text, ``record`` is what it holds (None:
        another text).  "" if nobody can tell."""
        found = KEY.findall(prefix) if "[" in prefix else []
        if not found and not self._orphans:
            return ""
        candidates = [*self._orphans, *found]
        near = found[-1] if found else candidates[0]
        owner = near if record is None else self._owner(candidates, near, record)
        at = len(candidates) - 1 - candidates[::-1].index(owner)
        del candidates[at]
        self._orphans = candidates[-_MAX_ORPHANS:]
        if record is not None and "seq" in record:
            self._next[owner] = record["seq"] + 1, record.get("t_ns", 0)
            self._next.move_to_end(owner)
            if len(self._next) > _MAX_KEYS:
                self._next.popitem(last=False)
        return owner

    def _owner(self, candidates: list[str], near: str, record: Record) -> str:
        """Who wrote last is nearest to the line, unless the numbers and times of records say
        otherwise: each run has its own."""
        seq, now = record.get("seq"), record.get("t_ns", 0)
        gaps: dict[str, int] = {}
        for key in candidates:
            number, before = self._next.get(key, (0, 0))
            if number == seq and before <= now:
                gaps[key] = now - before if seq else 0
        if not gaps:
            return near
        least = min(gaps.values())
        fitting = [key for key, gap in gaps.items() if gap == least]
        return near if near in fitting else fitting[0]

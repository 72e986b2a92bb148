"""Whose line is it, where a host puts a key in front of every line: ``stderr [79] :: text``.

``wasmtime serve`` writes key and line separately, so lines of requests at the same time tear each
other: ``stderr [79] :: stderr [81] :: text of 81``, then ``text of 79`` without a key.
"""

from __future__ import annotations

import re
from collections import OrderedDict

KEY = re.compile(r"std(?:err|out) \[(\d+)\] :: ")
#: Keys whose line has not come yet, and keys whose numbering is known, at most.
_MAX_ORPHANS, _MAX_KEYS = 256, 65536


class HostKeys:
    """Feed it every line of one source, in order."""

    def __init__(self) -> None:
        self._orphans: list[str] = []  # the longest waiting first
        self._next: OrderedDict[str, int] = OrderedDict()

    @property
    def seen(self) -> bool:
        """Whether this host puts keys in front of lines."""
        return bool(self._next) or bool(self._orphans)

    def feed(self, prefix: str, seq: int | None) -> str:
        """The key of a line: ``prefix`` stands before the text, ``seq`` is the number of the record
        it holds (None: another text).  "" if nobody can tell."""
        found = KEY.findall(prefix) if "[" in prefix else []
        if not found and not self._orphans:
            return ""
        candidates = [*self._orphans, *found]
        owner = self._owner(candidates, found, seq)
        if owner in candidates:
            candidates.reverse()
            candidates.remove(owner)
            candidates.reverse()
        self._orphans = candidates[-_MAX_ORPHANS:]
        if seq is not None and owner:
            self._next[owner] = seq + 1
            self._next.move_to_end(owner)
            if len(self._next) > _MAX_KEYS:
                self._next.popitem(last=False)
        return owner

    def _owner(self, candidates: list[str], found: list[str], seq: int | None) -> str:
        """Who wrote last is nearest to the line, unless the numbering of records says otherwise."""
        near = found[-1] if found else candidates[0]
        if seq is None or len(candidates) == 1:
            return near
        fitting = list(dict.fromkeys(k for k in candidates if self._next.get(k, 0) == seq))
        return fitting[0] if fitting and near not in fitting else near

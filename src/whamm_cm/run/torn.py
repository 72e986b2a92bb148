"""Lines of a host that writes its prefix and a guest's line in two pieces.

``wasmtime serve`` puts ``stderr [N] :: `` before each line of instance N.  With several requests at
once the pieces interleave: ``stderr [1] :: stderr [2] :: line of 2`` and then ``line of 1``, bare.
Where some of the lines are records, which are taken out, their prefixes must go with them,
whichever line they stand on, and the guests' own lines must keep one.  Whose a bare line is can
often be told (a record names its run), not always.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from whamm_cm.dataclass import dataclass

_ONE = re.compile(rb"(?:stdout|stderr) \[\d+\] :: ")
_LEADING = re.compile(rb"(?:(?:stdout|stderr) \[\d+\] :: )+")
_TRAILING = re.compile(rb"(?:(?:stdout|stderr) \[\d+\] :: )+\Z")
_LINE = re.compile(rb"[^\n]*\n|[^\n]+")
#: Lines held back at most, and runs remembered.
_MAX_HELD, _MAX_RUNS = 64, 4096


@dataclass(slots=True)
class _Held:
    """A guest's line; prefixes beyond one are of lines still to come."""

    prefixes: list[bytes]
    rest: bytes


class Torn:
    """Gives the guests' text to ``write``, each line with its own prefix.

    As long as no record came with such a prefix, the text is passed on as it is.  ``known``: one
    has come.
    """

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self.known = False
        self._orphans: list[bytes] = []  # prefixes of lines that are still to come
        self._held: list[_Held] = []
        self._of_run: dict[bytes, bytes] = {}
        self._unfinished = False  # the text written so far ends within a line

    def only_prefix(self, line: bytes | bytearray) -> bool:
        """Whether it is the beginning of a line of which nothing but prefixes has come."""
        return self.known and _LEADING.fullmatch(line) is not None

    def before_record(self, before: bytes, run: bytes, shown: bool) -> bytes:
        """What remains of the text before a record when its prefix, and those that stand there for
        other lines, are taken off.  ``shown``: the line's beginning was written before."""
        found = _TRAILING.search(before)
        if found is None:
            if self.known and not before and not shown and not self._unfinished:
                self._bare_record(run)
            return before
        self.known = True
        prefixes = _ONE.findall(found[0])
        own = self._of_run.get(run)
        if own is not None and own not in prefixes and any(own in one for one in self._waiting()):
            self._take(own)
        elif own in prefixes:
            prefixes.remove(own)
        else:
            own = prefixes.pop()
            if not prefixes and not self._waiting():
                self._learn(run, own)
        self._orphans += prefixes
        self._settle()
        return before[: found.start()]

    def _learn(self, run: bytes, prefix: bytes) -> None:
        if run and run not in self._of_run:
            if len(self._of_run) >= _MAX_RUNS:
                del self._of_run[next(iter(self._of_run))]
            self._of_run[run] = prefix

    def _bare_record(self, run: bytes) -> None:
        """Its prefix stands on a line before."""
        self._take(self._of_run.get(run))
        self._settle()

    def _waiting(self) -> list[list[bytes]]:
        """The prefixes that have come without their lines."""
        surplus = [held.prefixes for held in self._held if len(held.prefixes) > 1]
        return [self._orphans, *surplus] if self._orphans else surplus

    def _take(self, wanted: bytes | None) -> bytes:
        """One prefix of those that have come without their lines: the one wanted, else the first;
        "" where there is none."""
        lists = self._waiting()
        chosen = next((one for one in lists if wanted in one), lists[0] if lists else None)
        if chosen is None:
            return b""
        return chosen.pop(chosen.index(wanted) if wanted is not None and wanted in chosen else 0)

    def text(self, data: bytes) -> None:
        """Lines without a record, or the beginning of one."""
        if not data:
            return
        if not self.known:
            self._unfinished = not data.endswith(b"\n")
            self._write(data)
            return
        for line in _LINE.findall(data):
            self._line(line)

    def _line(self, line: bytes) -> None:
        found = _LEADING.match(line)
        prefixes = _ONE.findall(found[0]) if found else []
        whole = line.endswith(b"\n")
        if not prefixes and not self._unfinished:
            prefixes = [one for one in (self._take(None),) if one]
            self._settle()
        rest = line[found.end() :] if found else line
        self._held.append(_Held(prefixes, rest))
        # The beginning of a line is for somebody who waits for it.
        if whole and len(self._held) <= _MAX_HELD:
            self._settle()
        else:
            self.quiet()
        self._unfinished = not whole

    def _settle(self) -> None:
        """Writes what has no prefix too many, and does not stand behind one that has."""
        while self._held and len(self._held[0].prefixes) <= 1:
            self._put(self._held.pop(0))

    def quiet(self) -> None:
        """Nothing more is coming soon: what is held back is shown as it came."""
        while self._held:
            self._put(self._held.pop(0))

    def _put(self, held: _Held) -> None:
        self._write(b"".join(held.prefixes) + held.rest)

"""Calls laid out in time: per instance, lanes in which calls nest properly.

Concurrent calls of one instance overlap without nesting, which the viewers of Chrome traces and
speedscope files do not accept on one track; each such call gets a lane further down.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from whamm_cm.dataclass import dataclass
from whamm_cm.trace.calls import Outcome
from whamm_cm.trace.session import Call, Session


@dataclass(frozen=True, slots=True)
class Slice:
    """``start`` and ``end`` in nanoseconds, or 1000 per record in a log without times."""

    call: Call
    start: int
    end: int


@dataclass(slots=True)
class Lane:
    """``slices`` in order of start, outer before inner; ``number`` counts from 0."""

    instance: int
    component: str
    number: int
    slices: list[Slice] = field(default_factory=list)
    _ends: list[int] = field(default_factory=list)

    def take(self, piece: Slice) -> bool:
        """Add ``piece`` unless it would cut across one that is there."""
        while self._ends and self._ends[-1] <= piece.start:
            self._ends.pop()
        if self._ends and self._ends[-1] < piece.end:
            return False
        self._ends.append(piece.end)
        self.slices.append(piece)
        return True

    @property
    def label(self) -> str:
        label = f"instance {self.instance}"
        return f"{label} ({self.number + 1})" if self.number else label

    def steps(self) -> Iterator[tuple[bool, int, Call]]:
        """(opens, time, call) in order, every close matching the last open one."""
        open_slices: list[Slice] = []
        for piece in self.slices:
            while open_slices and open_slices[-1].end <= piece.start:
                done = open_slices.pop()
                yield False, done.end, done.call
            open_slices.append(piece)
            yield True, piece.start, piece.call
        while open_slices:
            done = open_slices.pop()
            yield False, done.end, done.call


def lanes(session: Session) -> list[Lane]:
    """All lanes, by instance and number."""
    found: dict[int, list[Lane]] = {}
    for piece in sorted(_slices(session), key=lambda s: (s.start, -s.end)):
        call = piece.call
        mine = found.setdefault(call.instance, [])
        if not any(lane.take(piece) for lane in mine):
            lane = Lane(call.instance, call.site.component, len(mine))
            lane.take(piece)
            mine.append(lane)
    return [lane for instance in sorted(found) for lane in found[instance]]


def _slices(session: Session) -> Iterator[Slice]:
    if not session.timed:
        for call in session.calls:
            yield Slice(call, call.start_seq * 1000, max(call.start_seq, call.end_seq) * 1000)
        return
    last: dict[int, int] = {}
    # A run that was seen late may have begun before the clock of the first.
    base = min((call.start_ns or 0 for call in session.calls), default=0)
    base = min(base, 0)
    for call in session.calls:
        known = call.end_ns if call.end_ns is not None else call.start_ns
        last[call.instance] = max(last.get(call.instance, base), known or 0)
    for call in session.calls:
        start, end = call.start_ns or 0, call.end_ns
        if end is None:
            # One that did return took no time that anybody knows of.
            end = start if call.outcome is Outcome.RETURNED else last[call.instance]
        yield Slice(call, start - base, end - base)

"""Calls laid out in time: per instance, lanes in which what runs nests properly.

The calls of a task are on one lane from its beginning to its end; tasks that overlap, and other
calls that do without nesting, get lanes further down.  An asynchronous call is on its task's lane
as long as it keeps that from going on.  All of it, which may overlap with anything, is a *span*
beside the lanes; what the task has waited is a piece of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import field

from whamm_cm.dataclass import dataclass
from whamm_cm.render.stacks import frame_of
from whamm_cm.trace.session import Call, Session
from whamm_cm.trace.timeline import base_of, times, zero_of

#: How a wait of a task is called where calls have their names.
WAITING = "(waiting)"
#: Whose a call is: the run, the instance, and the task (0: none).
Owner = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Slice:
    """``start`` and ``end`` in nanoseconds since the first call began, or 1000 per record in a log
    without times.  ``waits``: it is not the call but a wait of the task that began with it."""

    call: Call
    start: int
    end: int
    waits: bool = False

    @property
    def name(self) -> str:
        return WAITING if self.waits else frame_of(self.call.site).name


@dataclass(slots=True)
class Lane:
    """``slices`` in order of start, outer before inner; ``number`` counts from 0."""

    instance: int
    component: str
    number: int
    slices: list[Slice] = field(default_factory=list)
    _ends: list[int] = field(default_factory=list)
    _owner: Owner | None = None

    def take(self, piece: Slice, owner: Owner, until: int) -> bool:
        """Add ``piece`` unless it would cut across one that is there, or another task has the lane
        until its end.  ``until``: when the owner of the piece needs it no more."""
        while self._ends and self._ends[-1] <= piece.start:
            self._ends.pop()
        if not self._ends:
            self._owner = owner
            self._ends += [until] if until > piece.end else []
        elif owner != self._owner or self._ends[-1] < piece.end:
            return False
        self._ends.append(piece.end)
        self.slices.append(piece)
        return True

    @property
    def label(self) -> str:
        label = f"instance {self.instance}"
        return f"{label} ({self.number + 1})" if self.number else label

    def steps(self) -> Iterator[tuple[bool, int, Slice]]:
        """(opens, time, slice) in order, every close matching the last open one."""
        open_slices: list[Slice] = []
        for piece in self.slices:
            while open_slices and open_slices[-1].end <= piece.start:
                done = open_slices.pop()
                yield False, done.end, done
            open_slices.append(piece)
            yield True, piece.start, piece
        while open_slices:
            done = open_slices.pop()
            yield False, done.end, done


def lanes(session: Session) -> list[Lane]:
    """All lanes, by instance and number."""
    pieces = sorted(_slices(session), key=lambda s: (s.start, -s.end, s.waits))
    until: dict[Owner, int] = {}
    for piece in pieces:
        owner = _owner(piece.call)
        until[owner] = max(until.get(owner, piece.end), piece.end)
    found: dict[int, list[Lane]] = {}
    last: dict[Owner, Lane] = {}
    for piece in pieces:
        owner = _owner(piece.call)
        mine = found.setdefault(piece.call.instance, [])
        first = last.get(owner)
        tried: Iterable[Lane] = mine if first is None else (first, *mine)
        for lane in tried:
            if lane.take(piece, owner, until[owner] if owner[2] else piece.end):
                break
            if piece.waits:
                break  # it is at odds with what the log says ran then
        else:
            lane = Lane(piece.call.instance, piece.call.site.component, len(mine))
            lane.take(piece, owner, until[owner] if owner[2] else piece.end)
            mine.append(lane)
        last.setdefault(owner, lane)
    return [lane for instance in sorted(found) for lane in found[instance]]


def spans(session: Session) -> list[Slice]:
    """The asynchronous calls that their callers did not wait for, each from its call to its result,
    in order of start; what is pending lasts until the end of the log."""
    zero = zero_of(session) - base_of(session)
    found = [
        Slice(call, start - zero, end - zero)
        for call, start, _, end in times(session)
        if call.waited_later and call.opened is not None
    ]
    return sorted(found, key=lambda s: s.start)


def _owner(call: Call) -> Owner:
    return call.run, call.instance, call.task


def _slices(session: Session) -> Iterator[Slice]:
    """What is on lanes: of asynchronous calls the frames; of tasks also the waits."""
    zero = zero_of(session)
    ahead = zero - base_of(session)
    for call, start, frame, end in times(session):
        start, frame, end = start - ahead, frame - ahead, end - ahead
        yield Slice(call, start, frame if call.waited_later else end)
        before = start
        for first, last in call.waits:
            first, last = max(first - zero, before), min(last - zero, end)
            if first <= last:
                yield Slice(call, first, last, True)
                before = last

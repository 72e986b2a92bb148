"""The calls of a log while its records arrive: what their records say, and what more is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace

from whamm_cm.dataclass import dataclass
from whamm_cm.trace.call import Call
from whamm_cm.trace.calls import BETWEEN, LiveCall, Outcome
from whamm_cm.trace.records import Record
from whamm_cm.trace.traffic import Traffic

#: Instances whose clocks are remembered.
_MAX_CLOCKS = 1 << 16


@dataclass(slots=True)
class Seen:
    """Numbers of records: of a call, of its first and of its last return, of the end of its task;
    and the waits of that.  ``about``: what the handle is called that the call is on."""

    start: int
    frame: int = -1
    end: int = -1
    exit: int = -1
    exit_ns: int | None = None
    waits: list[tuple[int, int]] = field(default_factory=list)
    about: str = ""


class Arriving:
    """``live`` and ``seen`` are by the index of the call, in order, until it is forgotten."""

    def __init__(self) -> None:
        self.traffic = Traffic(places=True)
        self.live: dict[int, LiveCall] = {}
        self.seen: dict[int, Seen] = {}
        self._now: dict[int, int] = {}  # what the clock of each instance said last

    def feed(self, record: Record, at: int) -> LiveCall | None:
        """The call that the record is about; ``at`` is the number of the record."""
        call = self.traffic.feed(record)
        if call is None:
            return None
        if record["phase"] in BETWEEN:
            self._between(call, record, at)
            return call
        self._place(call, record)
        seen = self.seen.get(call.index)
        if call.opened is record or seen is None and call.opened is None:
            self.live[call.index], seen = call, Seen(at)
            self.seen[call.index] = seen
            named = self.traffic.named(call)
            if named is not None and named.receiver is not None:
                seen.about = named.receiver.name or ""
        if call.closed is not None and seen is not None:
            seen.frame, seen.end = at if seen.frame < 0 else seen.frame, at
        return call

    def forget(self, index: int) -> None:
        del self.live[index], self.seen[index]

    def frozen(self, order: Sequence[int], where: Mapping[int, int], records: int) -> list[Call]:
        """The calls of these indices, with the positions of their callers (``where``)."""
        found = []
        for index in order:
            live = self.live[index]
            parent = None if live.parent is None else where.get(live.parent.index)
            call = call_of(live, self.seen[index], records)
            found.append(call if parent is None else replace(call, parent=parent))
        return found

    def _between(self, call: LiveCall, record: Record, at: int) -> None:
        seen, took = self.seen.get(call.index), record.get("dur_ns")
        if seen is None:
            return
        if record["phase"] == "exit":
            seen.exit, seen.exit_ns = at, took
        elif record["phase"] == "resumed" and took is not None and "t_ns" in record:
            seen.waits.append((record["t_ns"] - took, record["t_ns"]))

    def _place(self, call: LiveCall, record: Record) -> None:
        """A call that could not ask for the time, as where a component may not call out, happened
        right behind what came before it."""
        if "t_ns" in record:
            if len(self._now) >= _MAX_CLOCKS and call.instance not in self._now:
                del self._now[next(iter(self._now))]
            self._now[call.instance] = record["t_ns"]
        elif call.start_ns is None and call.opened is record:
            call.start_ns = self._now.get(call.instance)


def call_of(live: LiveCall, seen: Seen, records: int) -> Call:
    """What is known of a call when so many records have come; without its caller."""
    return Call(
        live.site,
        live.instance,
        live.call,
        live.outcome,
        live.opened,
        live.closed,
        seen.start,
        records if live.outcome is Outcome.UNFINISHED else seen.end,
        live.start_ns,
        live.dur_ns,
        answered_badly=live.answered_badly,
        task=_task(live),
        is_task=live.is_task,
        frame_ns=None if live.dur_ns is None else live.frame_ns,
        frame_seq=records if seen.frame < 0 else seen.frame,
        exit_ns=seen.exit_ns,
        exit_seq=seen.exit,
        starting_ns=live.starting_ns,
        starts_later=live.starts_later,
        waits=tuple(seen.waits),
        req=live.req,
        about=seen.about,
    )


def _task(live: LiveCall) -> int:
    record = live.opened or live.closed or {}
    task: int = record.get("task", 0)
    return task

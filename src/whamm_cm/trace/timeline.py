"""When the calls of a log began and were over, as whatever lays them out in time has it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from whamm_cm.trace.calls import Outcome
from whamm_cm.trace.records import Record
from whamm_cm.trace.session import Call, Session


class WallClock:
    """Passes records on; notes the wall clock of the first that says it, by that of the log."""

    def __init__(self) -> None:
        self.base: int | None = None

    def watch(self, records: Iterable[Record]) -> Iterator[Record]:
        for record in records:
            if self.base is None and record["phase"] == "start" and "wall_ns" in record:
                self.base = record["wall_ns"] - record.get("t_ns", 0)
            yield record


def length(session: Session) -> int:
    """From the beginning of the first call to the end of the last, in nanoseconds; 0 for none."""
    spans = [(start, end) for _, start, end in timeline(session)]
    return max((e for _, e in spans), default=0) - min((s for s, _ in spans), default=0)


def timeline(session: Session) -> list[tuple[Call, int, int]]:
    """Every call, with when it began and when it was over, tasks included."""
    return [(call, start, end) for call, start, _, end in times(session)]


def base_of(session: Session) -> int:
    """A run that was seen late may have begun before the clock of the first."""
    if not session.timed:
        return 0
    return min(0, min((call.start_ns or 0 for call in session.calls), default=0))


def zero_of(session: Session) -> int:
    """When the first call began, by the clock of the log; 0 without times.

    What viewers read as floating-point numbers counts from there: a clock that counts the days
    since a machine was started has more nanoseconds than those can tell apart.
    """
    if not session.timed:
        return 0
    return min((call.start_ns or 0 for call in session.calls), default=0)


def times(session: Session) -> Iterator[tuple[Call, int, int, int]]:
    """Of each call when it began, when its caller could go on, and when it was over."""
    if not session.timed:
        for call in session.calls:
            end = session.records if call.outcome is Outcome.PENDING else call.end_seq
            marks = call.start_seq, call.frame_seq, max(end, call.exit_seq)
            start, frame, end = (max(call.start_seq, mark) * 1000 for mark in marks)
            yield call, start, min(frame, end), end
        return
    base, last = base_of(session), dict[int, int]()
    for call in session.calls:
        latest = max(call.end_ns or 0, call.start_ns or 0, _exit(call), *(w[1] for w in call.waits))
        last[call.instance] = max(last.get(call.instance, base), latest)
    for call in session.calls:
        start = call.start_ns or 0
        frame = start + (call.frame_ns or 0)
        end = start if call.end_ns is None else call.end_ns
        if call.outcome is Outcome.UNFINISHED and call.end_ns is None:
            frame = end = last[call.instance]
        elif call.outcome is Outcome.PENDING:
            end = last[call.instance]
        yield call, start - base, frame - base, max(end, _exit(call), frame) - base


def _exit(call: Call) -> int:
    """When its task was over, as far as that is known."""
    return (call.start_ns or 0) + (call.exit_ns or 0)

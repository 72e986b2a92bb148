"""Counts and times per function, in memory bounded by the number of functions."""

from __future__ import annotations

from dataclasses import dataclass, field

from whamm_cm.trace.calls import LiveCall, Outcome, Tracker
from whamm_cm.trace.reader import Record


@dataclass(slots=True)
class Totals:
    """What is known about one function (an item at an edge).

    ``calls`` holds recorded calls and counted ones (report records), ``errors`` those that
    returned an error, ``timed`` those with times; ``self_ns`` leaves out the calls made inside.
    """

    edge: str
    item: str
    calls: int = 0
    errors: int = 0
    unfinished: int = 0
    timed: int = 0
    total_ns: int = 0
    self_ns: int = 0
    max_ns: int = 0

    @property
    def average_ns(self) -> float:
        """Self time per timed call."""
        return self.self_ns / self.timed if self.timed else 0.0


@dataclass(slots=True)
class Summary:
    """Accumulates records; ``rows`` is complete after :meth:`finish`."""

    rows: dict[tuple[str, str], Totals] = field(default_factory=dict)
    dropped: int = 0
    records: int = 0
    _tracker: Tracker = field(default_factory=Tracker)

    def feed(self, record: Record) -> None:
        self.records += 1
        phase = record["phase"]
        if phase == "dropped":
            self.dropped += record["count"]
            return
        if phase == "report":
            if "count" not in record:  # a script's variable
                return
            self._row_of(record).calls += record["count"]
            return
        call = self._tracker.feed(record)
        while self._tracker.given_up:
            self._add(self._tracker.given_up.pop())
        if call is not None and call.outcome is Outcome.RETURNED:
            self._add(call)

    def finish(self) -> None:
        """Count the calls that never returned. Feed no more records after it."""
        for call in self._tracker.unfinished():
            self._add(call)
        self._tracker = Tracker()

    def _row_of(self, record: Record) -> Totals:
        interface, func = record.get("interface", ""), record.get("func", "")
        return self._row(record.get("edge", ""), f"{interface}#{func}" if interface else func)

    def _row(self, edge: str, item: str) -> Totals:
        key = (edge, item)
        if key not in self.rows:
            self.rows[key] = Totals(edge, item)
        return self.rows[key]

    def _add(self, call: LiveCall) -> None:
        row = self._row(call.site.edge, call.site.item)
        row.calls += 1
        row.errors += call.failed
        row.unfinished += call.outcome is Outcome.UNFINISHED
        if call.dur_ns is not None:
            row.timed += 1
            row.total_ns += call.dur_ns
            row.self_ns += call.self_ns or 0
            row.max_ns = max(row.max_ns, call.dur_ns)

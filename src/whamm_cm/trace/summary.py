"""Counts and times per function, in memory bounded by the number of functions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field

from whamm_cm.dataclass import dataclass
from whamm_cm.trace.calls import LiveCall, Outcome, Site, Tracker
from whamm_cm.trace.leaves import Calls
from whamm_cm.trace.losses import Losses
from whamm_cm.trace.records import Record
from whamm_cm.trace.sketch import Sketch

#: Calls that may have more to say when they are counted; the oldest is done with where there are
#: more: of most tasks it is not said that they are over, since they end where they return.
_MAX_GOING = 1024


@dataclass(slots=True)
class Totals:
    """What is known about one function (an item, as shown, at an edge), over all instances.

    ``calls`` holds recorded calls and counted ones (report records), ``errors`` those that
    returned an error, ``unfinished`` those that never returned, ``pending`` those that said
    "later" and were not heard of again, ``timed`` those with times.  ``total_ns`` and ``max_ns``
    are of times from call to result; ``self_ns`` leaves out the calls made inside, and all that
    was waited; ``wait_ns`` is what others could run meanwhile, ``starting_ns`` until ``late`` calls
    could start that had to wait for that.  ``times``: those from call to result, where that was
    asked for.
    ``instance`` is 0 for the sum of all.
    """

    edge: str
    item: str
    instance: int = 0
    calls: int = 0
    errors: int = 0
    unfinished: int = 0
    pending: int = 0
    timed: int = 0
    total_ns: int = 0
    self_ns: int = 0
    max_ns: int = 0
    wait_ns: int = 0
    late: int = 0
    starting_ns: int = 0
    times: Sketch | None = None

    @property
    def average_ns(self) -> float:
        """Self time per timed call."""
        return self.self_ns / self.timed if self.timed else 0.0


@dataclass(slots=True)
class Summary:
    """Accumulates records; ``rows`` is complete after :meth:`finish`.

    A call between two components counts once, for its caller, also where both sides are recorded.
    """

    per_instance: bool = False
    percentiles: bool = False
    rows: dict[tuple[str, str, int], Totals] = field(default_factory=dict)
    losses: Losses = field(default_factory=Losses)
    records: int = 0
    #: Of one request in how many the log is.
    sample: int = 1
    _tracker: Tracker = field(default_factory=Tracker)
    #: Calls that were only counted between two components: by the function, then by instance.
    _inner: dict[str, dict[int, int]] = field(default_factory=dict)
    #: Of calls that are counted whose tasks may not be over, and of the callers of such: self time
    #: and waiting so far.
    _going: dict[LiveCall, tuple[int, int]] = field(default_factory=dict)

    def feed(self, record: Record) -> None:
        self.records += 1
        phase = record["phase"]
        if phase == "calls":
            self._returned(record)
            return
        if phase == "report":
            if "count" in record and "var" not in record:  # not a script's variable
                self._counted(record)
            return
        tracker = self._tracker
        task = tracker.about(record) if phase in ("resumed", "exit") else None
        call = tracker.feed(record)
        if task is not None:
            self._goes_on(task, phase == "exit")
            if task.parent is not None:
                self._goes_on(task.parent, phase == "exit")
        while tracker.given_up:
            self._add(tracker.given_up.pop())
        if call is None:
            self.losses.feed(record)
            if phase == "start":
                self.sample = max(self.sample, record.get("sample", 1))
        elif call.outcome is Outcome.RETURNED:
            self._add(call)

    def finish(self) -> None:
        """Count the calls that never returned. Feed no more records after it."""
        for call in self._tracker.unfinished():
            self._add(call)
        for call in [*self._going]:
            self._goes_on(call, True)
        self._tracker = Tracker()
        for item, counts in self._inner.items():
            if self.per_instance:
                for instance, count in counts.items():
                    self._row("inner", item, instance).calls += count
            else:
                self._row("inner", item, 0).calls += once(counts.values())
        self._inner.clear()

    def _returned(self, record: Record) -> None:
        """Calls that are counted already (``leaves.py``)."""
        found: Calls = record["calls"]
        self.records += 2 * found.calls - 1
        self._tracker.spent(record["instance"], found.ns)
        site = Site.of(record)
        row = self._row(site.edge, site.shown, record["instance"])
        row.calls += found.calls
        row.errors += found.errors
        row.self_ns += found.ns
        row.total_ns += found.ns
        row.timed += found.calls * found.timed
        row.max_ns = max(row.max_ns, found.max_ns)

    def _counted(self, record: Record) -> None:
        site, instance = Site.of(record), record["instance"]
        edge, item = site.edge, site.shown
        if edge == "inner":
            counts = self._inner.setdefault(item, {})
            counts[instance] = counts.get(instance, 0) + record["count"]
        else:
            self._row(edge, item, instance).calls += record["count"]

    def _row(self, edge: str, item: str, instance: int) -> Totals:
        key = (edge, item, instance if self.per_instance else 0)
        row = self.rows.get(key)
        if row is None:
            row = self.rows[key] = Totals(*key)
            row.times = Sketch() if self.percentiles else None
        return row

    def _add(self, call: LiveCall) -> None:
        site, callee, duration = call.site, call.is_callee, call.dur_ns
        edge = call.parent.site.edge if callee and call.parent is not None else site.edge
        row = self._row(edge, site.shown, call.instance)
        row.self_ns += call.self_ns or 0
        if call.is_task or call.made_task:
            if len(self._going) >= _MAX_GOING:
                self._goes_on(next(iter(self._going)), True)
            self._going[call] = call.self_ns or 0, call.wait_ns
        if callee:  # its time is time of the call that its caller's record counts
            return
        row.wait_ns += 0 if duration is None else call.wait_ns
        if call.starting_ns is not None:
            row.late += 1
            row.starting_ns += call.starting_ns
        row.calls += 1
        row.errors += call.failed
        row.unfinished += call.outcome is Outcome.UNFINISHED
        row.pending += call.outcome is Outcome.PENDING
        if duration is not None:
            row.timed += 1
            row.total_ns += duration
            row.max_ns = max(row.max_ns, duration)
            if row.times is not None:
                row.times.add(duration)

    def _goes_on(self, call: LiveCall, over: bool) -> None:
        """What is known of a call, if it was counted before, and was not known then."""
        if call not in self._going:
            return
        callee = call.is_callee
        edge = call.parent.site.edge if callee and call.parent is not None else call.site.edge
        row = self._row(edge, call.site.shown, call.instance)
        own, waited = self._going.pop(call)
        if not over:
            self._going[call] = call.self_ns or 0, call.wait_ns
        row.self_ns += (call.self_ns or 0) - own
        row.wait_ns += 0 if callee else call.wait_ns - waited


def once(counts: Iterable[int]) -> int:
    """Calls of one function between components, from how often each instance counted them.

    Where both sides count, what one instance was called is what all others have called.
    """
    found = list(counts)
    most, total = max(found, default=0), sum(found)
    return most if len(found) > 1 and most * 2 == total else total

"""What happened lately, by the clock of the log, and altogether: what ``top`` shows."""

from __future__ import annotations

from whamm_cm.trace.groups import KINDS, Groups, Meter, Sample
from whamm_cm.trace.losses import Losses
from whamm_cm.trace.records import Record

_SECOND = 1_000_000_000


class Window:
    """Feed it every record in order.  Rows of the last ``seconds`` are kept second by second, so
    memory is bounded by these, and by the rows (:data:`whamm_cm.trace.groups.MAX_ROWS`)."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        self.totals = {kind: Groups() for kind in KINDS}
        self.losses = Losses()
        self.records = 0
        self.instances = 0
        self._meter = Meter(KINDS)
        self._lately: dict[int, dict[str, Groups]] = {}
        self._first: int | None = None
        self._last = 0
        self._timed = False

    @property
    def under_way(self) -> int:
        """Requests that are not over."""
        return len(self._meter.traffic.requests.under_way())

    def feed(self, record: Record, now_ns: int) -> None:
        """``now_ns`` is the time where the record has none."""
        self.records += 1
        self.losses.feed(record)
        self.instances = max(self.instances, record.get("instance", 0))
        at = record.get("t_ns")
        if at is None:
            at = self._last if self._timed else now_ns
        else:
            self._timed = True
        self._first = at if self._first is None else min(self._first, at)
        self._last = max(self._last, at)
        for sample in self._meter.feed(record):
            self._add(sample, at)

    def finish(self) -> None:
        """No more records come."""
        for sample in self._meter.finish():
            self._add(sample, self._last)

    def span(self) -> float:
        """Seconds from the first record to the last; at least a millisecond."""
        return max(0.001, (self._last - (self._first or 0)) / _SECOND)

    def lately(self, kind: str, idle_ns: int = 0) -> tuple[Groups, float]:
        """Rows of the last seconds, and how many these are; nothing came for ``idle_ns``."""
        now = (self._last + idle_ns) // _SECOND
        found = Groups()
        for second, groups in self._lately.items():
            if second > now - self.seconds and kind in groups:
                found.merge(groups[kind])
        since = max(now - self.seconds + 1, (self._first or 0) // _SECOND) * _SECOND
        since = max(since, self._first or 0)
        return found, max(1.0, (self._last + idle_ns - since) / _SECOND)

    def _add(self, sample: Sample, at: int) -> None:
        self.totals[sample.kind].add(sample)
        second = at // _SECOND
        oldest = self._last // _SECOND - self.seconds
        if second <= oldest:
            return
        groups = self._lately.get(second)
        if groups is None:
            for old in [each for each in self._lately if each <= oldest]:
                del self._lately[old]
            groups = self._lately[second] = {}
        if sample.kind not in groups:
            groups[sample.kind] = Groups()
        groups[sample.kind].add(sample)

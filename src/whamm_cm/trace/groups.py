"""Calls, errors, bytes and latencies by what they were about: a peer, a route, a path, a bucket."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import field
from typing import Any

from whamm_cm.dataclass import dataclass
from whamm_cm.trace.calls import LiveCall, Outcome
from whamm_cm.trace.contents import bytes_in
from whamm_cm.trace.losses import Losses
from whamm_cm.trace.peers import Exchange
from whamm_cm.trace.records import Record
from whamm_cm.trace.requests import Request
from whamm_cm.trace.sketch import Sketch
from whamm_cm.trace.traffic import Traffic

#: What there can be a row for.
KINDS = ("function", "peer", "route", "path", "bucket")
#: Rows at most; what else comes is of one row together.
MAX_ROWS = 1000
OTHERS = "(others)"


@dataclass(frozen=True, slots=True)
class Sample:
    """One call of a function, exchange with a peer, request of a route, or call on a path or
    bucket.  ``outcome``: the status or the error it had, "" for none.  Calls of functions count
    their own bytes; those of calls about exchanges come with ``calls`` 0, when they are moved."""

    kind: str
    key: str
    failed: bool = False
    dur_ns: int | None = None
    sent: int = 0
    received: int = 0
    outcome: str = ""
    calls: int = 1


class Meter:
    """Feed it every record in order; it answers by samples of the kinds that are asked for."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self.kinds = frozenset(kinds)
        self.traffic = Traffic(places=bool(self.kinds & {"path", "bucket"}))

    def feed(self, record: Record) -> list[Sample]:
        call = self.traffic.feed(record)
        found: list[Sample] = []
        if call is not None and record["phase"] == "return" and _is_over(call):
            found += self._of_call(call)
        return [*found, *self._ended()]

    def finish(self) -> list[Sample]:
        """No more records come: what never returned counts, too."""
        self.traffic.finish()
        return self._ended()

    def _of_call(self, call: LiveCall) -> Iterator[Sample]:
        place = self.traffic.place
        functions = "function" in self.kinds and not call.is_callee
        if functions or place is not None:
            sent, received = _bytes(call.args), _bytes(call.result)
            if call.site.edge == "export":
                sent, received = received, sent
            more = (call.failed, call.dur_ns, sent, received)
            if functions:
                yield Sample("function", shown(call), *more)
            if place is not None and place.kind in self.kinds:
                yield Sample(place.kind, place.name, *more)

    def _ended(self) -> list[Sample]:
        requests, exchanges = self.traffic.take_requests(), self.traffic.take_exchanges()
        found = [of_request(each) for each in requests if "route" in self.kinds]
        return found + [of_exchange(each) for each in exchanges if "peer" in self.kinds]


def shown(call: LiveCall) -> str:
    """As a row of the summary calls it."""
    edge = call.site.edge
    return f"{edge} {call.site.shown}" if edge in ("export", "inner") else call.site.shown


def of_request(request: Request) -> Sample:
    key = request.function or "?"
    if request.method is not None or request.path is not None:
        key = f"{request.method or '?'} {request.route or '?'}"
    outcome = request.error or (str(request.status) if request.status else "")
    return Sample("route", key, request.failed, request.dur_ns, outcome=outcome)


def of_exchange(exchange: Exchange) -> Sample:
    outcome = exchange.error or (str(exchange.status) if exchange.status else "")
    return Sample(
        "peer", exchange.peer, exchange.failed, exchange.dur_ns, exchange.sent, exchange.received,
        outcome,
    )  # fmt: skip


def _is_over(call: LiveCall) -> bool:
    return call.outcome is Outcome.RETURNED


def _bytes(value: Any) -> int:
    """Bytes in the lists of bytes of a value."""
    if isinstance(value, dict):
        if "~b64" in value:
            return bytes_in(value)
        return sum(map(_bytes, value.values()))
    if isinstance(value, list) and value and isinstance(value[0], dict | list):
        return sum(map(_bytes, value))
    return 0


@dataclass(slots=True)
class Group:
    """``outcomes``: how often it ended how; of more than 20 kinds the rest are one."""

    key: str
    calls: int = 0
    errors: int = 0
    sent: int = 0
    received: int = 0
    total_ns: int = 0
    times: Sketch = field(default_factory=Sketch)
    outcomes: dict[str, int] = field(default_factory=dict)

    def add(self, sample: Sample) -> None:
        self.calls += sample.calls
        self.errors += sample.failed
        self.sent += sample.sent
        self.received += sample.received
        if sample.dur_ns is not None:
            self.times.add(sample.dur_ns)
            self.total_ns += sample.dur_ns
        if sample.outcome:
            self._ended(sample.outcome, 1)

    def merge(self, other: Group) -> None:
        self.calls += other.calls
        self.errors += other.errors
        self.sent += other.sent
        self.received += other.received
        self.total_ns += other.total_ns
        self.times.merge(other.times)
        for outcome, count in other.outcomes.items():
            self._ended(outcome, count)

    def _ended(self, outcome: str, count: int) -> None:
        known = outcome if outcome in self.outcomes or len(self.outcomes) < 20 else OTHERS
        self.outcomes[known] = self.outcomes.get(known, 0) + count

    def of_class(self, hundreds: int) -> int:
        """How many had a status of that class."""
        return sum(
            count
            for outcome, count in self.outcomes.items()
            if outcome.isdigit() and int(outcome) // 100 == hundreds
        )


class Groups:
    """Rows of one kind, at most :data:`MAX_ROWS` and one for all others."""

    def __init__(self) -> None:
        self.rows: dict[str, Group] = {}

    def row(self, key: str) -> Group:
        found = self.rows.get(key)
        if found is None:
            key = key if len(self.rows) < MAX_ROWS else OTHERS
            found = self.rows.setdefault(key, Group(key))
        return found

    def add(self, sample: Sample) -> None:
        self.row(sample.key).add(sample)

    def merge(self, other: Groups) -> None:
        for key, group in other.rows.items():
            self.row(key).merge(group)


class Grouped:
    """A whole log by one kind; ``groups`` is complete after :meth:`finish`."""

    def __init__(self, kind: str) -> None:
        self.kind, self.groups, self.losses = kind, Groups(), Losses()
        self._meter = Meter((kind,))

    def feed(self, record: Record) -> None:
        self.losses.feed(record)
        self._add(self._meter.feed(record))

    def finish(self) -> None:
        self._add(self._meter.finish())

    def _add(self, samples: Iterable[Sample]) -> None:
        for sample in samples:
            if sample.kind == self.kind:
                self.groups.add(sample)

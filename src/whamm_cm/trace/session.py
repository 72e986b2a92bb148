"""A whole log in memory: calls in the order they were made, who called whom, counts."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from whamm_cm.dataclass import dataclass
from whamm_cm.trace.arriving import Arriving, call_of
from whamm_cm.trace.call import Call as Call
from whamm_cm.trace.calls import ENTERING, LEAVING, LiveCall, Site, spend
from whamm_cm.trace.flows import certain
from whamm_cm.trace.losses import Losses
from whamm_cm.trace.peers import Exchange
from whamm_cm.trace.records import Record
from whamm_cm.trace.reports import Cell, Print, Reports
from whamm_cm.trace.requests import Request

#: How many earlier calls of a function are looked at for the one that spans an entry: as many as
#: may run at the same time.
_LOOK_BACK = 64


@dataclass(frozen=True, slots=True)
class Session:
    """``counts`` come from report records (sites that only count), ``losses`` says what is missing.

    ``cells`` and ``prints`` are those of scripts, ``parts`` the cells of each instance.  ``timed``:
    every call says when it started.  ``requests`` are in the order in which they began, so are
    ``exchanges``: what the component asked of others.
    """

    calls: tuple[Call, ...]
    counts: Mapping[Site, int]
    losses: Losses
    records: int
    timed: bool
    cells: tuple[Cell, ...] = ()
    prints: tuple[Print, ...] = ()
    parts: tuple[Cell, ...] = ()
    requests: tuple[Request, ...] = ()
    exchanges: tuple[Exchange, ...] = ()

    @staticmethod
    def build(records: Iterable[Record], per_instance: bool = False) -> Session:
        """``per_instance``: the ``cells`` are the ``parts``."""
        return _Builder().run(records, per_instance)

    @property
    def instances(self) -> tuple[int, ...]:
        return tuple(sorted({call.instance for call in self.calls}))

    def children(self) -> list[list[int]]:
        """For each call the indices of the calls made from it, in order."""
        found: list[list[int]] = [[] for _ in self.calls]
        for index, call in enumerate(self.calls):
            if call.parent is not None:
                found[call.parent].append(index)
        return found


class _Builder:
    def __init__(self) -> None:
        self.arriving = Arriving()
        self.traffic = self.arriving.traffic
        self.counts: dict[Site, int] = {}
        self.losses = Losses()
        self.reports = Reports()

    def run(self, records: Iterable[Record], per_instance: bool) -> Session:
        at = 0
        for at, record in enumerate(records, 1):
            self.feed(record, at - 1)
        lives = [*self.arriving.live.values()]
        calls = [
            call_of(live, seen, at)
            for live, seen in zip(lives, self.arriving.seen.values(), strict=True)
        ]
        parents = [None if c.parent is None else c.parent.index for c in lives]
        calls = _nested(calls, _linked(calls, parents), lives)
        timed = all(call.start_ns is not None for call in calls)
        calls = _asked(calls, certain(calls) if timed else ())
        self.traffic.finish()
        parts = tuple(self.reports.cells(self.losses.unknown, per_instance=True))
        cells = parts
        if not (per_instance or self.reports.alone):
            cells = tuple(self.reports.cells(self.losses.unknown))
        prints = tuple(self.reports.prints)
        requests = (
            request
            for request in self.traffic.take_requests()
            if request.call < 0 or calls[request.call].parent is None
        )
        exchanges = (
            exchange if exchange.req else replace(exchange, req=calls[exchange.call].req)
            for exchange in self.traffic.take_exchanges()
        )
        return Session(
            tuple(calls), self.counts, self.losses, at, timed, cells, prints, parts,
            tuple(sorted(requests, key=lambda request: request.req)),
            tuple(sorted(exchanges, key=lambda exchange: exchange.call)),
        )  # fmt: skip

    def feed(self, record: Record, at: int) -> None:
        self.reports.feed(record)
        if record["phase"] == "declared":
            return
        if record["phase"] == "report" and "count" in record:
            site = Site.of(record)
            self.counts[site] = self.counts.get(site, 0) + record["count"]
        elif self.losses.feed(record):
            return
        self.arriving.feed(record, at)


def _linked(calls: list[Call], parents: list[int | None]) -> list[int | None]:
    """Find callers in other instances that the order of arrival did not show.

    Blocks of different instances arrive in any order, so this goes by time: an entry belongs to
    the innermost call of the same function from another instance that spans it.
    """
    callers: dict[tuple[str, ...], list[tuple[int, int]]] = {}
    for index, call in enumerate(calls):
        if call.site.edge in LEAVING and call.start_ns is not None and call.dur_ns is not None:
            key = (call.run, call.site.interface, call.site.func)
            callers.setdefault(key, []).append((call.start_ns, index))
    for entries in callers.values():
        entries.sort()
    taken = {parent for parent in parents if parent is not None}
    linked = list(parents)
    for index, call in enumerate(calls):
        if linked[index] is not None or call.site.edge not in ENTERING or call.start_ns is None:
            continue
        candidates = callers.get((call.run, call.site.interface, call.site.func), [])
        last = bisect_right(candidates, (call.start_ns, len(calls)))
        may = [
            caller
            for _, caller in reversed(candidates[max(0, last - _LOOK_BACK) : last])
            if caller not in taken and linked[caller] != index and _spans(calls[caller], call)
        ]
        if len(may) == 1 or may and not call.task:  # of tasks any may be the one
            linked[index] = may[0]
            taken.add(may[0])
    return linked


def _spans(outer: Call, inner: Call) -> bool:
    if outer.instance == inner.instance or inner.start_ns is None:
        return False
    start, end = outer.start_ns, outer.end_ns
    inner_end = inner.end_ns if inner.end_ns is not None else inner.start_ns
    return start is not None and end is not None and start <= inner.start_ns and inner_end <= end


def _nested(calls: list[Call], parents: list[int | None], lives: Sequence[LiveCall]) -> list[Call]:
    """Depth and self time from the parents; a link that would close a circle is left out."""
    depths: list[int | None] = [None] * len(calls)
    for index in range(len(calls)):
        _set_depth(index, parents, depths)
    for call, live, parent in zip(calls, lives, parents, strict=True):
        if parent is not None and live.parent is None:  # found later
            live.parent = lives[parent]
            for first, last in _runs(call):
                spend(live, first, last)
    return [
        replace(call, parent=parent, depth=depth or 0, self_ns=live.self_ns)
        for call, parent, depth, live in zip(calls, parents, depths, lives, strict=True)
    ]


def _asked(calls: list[Call], pairs: Iterable[tuple[int, int]]) -> list[Call]:
    """Each with the request of the outermost call that it was made from, as far as it is known;
    ``pairs``: callers and callees in other instances."""
    above = {index: call.parent for index, call in enumerate(calls) if call.parent is not None}
    for caller, callee in pairs:
        above.setdefault(callee, caller)
    found = list(calls)
    ends: dict[int, int] = {}  # where the way up from a call ends, so that no way is gone twice
    for index, call in enumerate(calls):
        at, steps = index, 0
        while at in above and steps < len(calls) and (at == index or not found[at].req):
            at, steps = above[at], steps + 1
            if at in ends and not found[at].req:
                at = ends[at]
                break
        ends[index] = at
        if at != index and found[at].req != call.req and (call.parent is not None or not call.req):
            found[index] = replace(call, req=found[at].req)
    return found


def _runs(call: Call) -> Iterator[tuple[int, int]]:
    """When it ran, or kept its caller from running, in nanoseconds since it was called."""
    if call.start_ns is None or call.dur_ns is None:
        return
    at = 0
    for first, last in call.waits:
        yield at, first - call.start_ns
        at = last - call.start_ns
    whole = max(call.dur_ns, call.exit_ns or 0) if call.is_task else call.frame_ns or 0
    yield at, whole


def _set_depth(index: int, parents: list[int | None], depths: list[int | None]) -> None:
    path: dict[int, None] = {}  # a set in order
    last, at = index, parents[index]
    path[index] = None
    while at is not None and depths[at] is None:
        if at in path:
            parents[last] = None
            break
        path[at] = None
        last, at = at, parents[at]
    above = None if at is None else depths[at]
    depth = -1 if above is None else above
    for step in reversed(path):
        if depths[step] is None:
            depth += 1
            depths[step] = depth

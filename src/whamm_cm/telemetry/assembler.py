"""From records to what is sent, as they come: spans, lines of logs, and metrics.

A request's spans leave together when it is over.  What goes on for longer leaves call by call, as
calls end.  Memory is bounded by the calls that are open, and those by a constant.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import field

from whamm_cm.dataclass import dataclass
from whamm_cm.telemetry.loglines import Chunk, Lines, LogLine
from whamm_cm.telemetry.metrics import CALLS, CLIENT, DURATION, LOST, SERVER, Metrics
from whamm_cm.trace.arriving import Arriving
from whamm_cm.trace.call import Call
from whamm_cm.trace.calls import LiveCall, Outcome, Site
from whamm_cm.trace.losses import Losses
from whamm_cm.trace.peers import Exchange
from whamm_cm.trace.records import Record
from whamm_cm.trace.requests import Request
from whamm_cm.trace.semconv import LONGEST, Value, error_type
from whamm_cm.trace.session import Session
from whamm_cm.trace.spans import (
    Root,
    Span,
    Spans,
    Trap,
    exchange_attributes,
    request_alone,
    request_attributes,
)

#: Seconds after which a call that is over does not wait for those around it.
PATIENCE = 2.0
#: Seconds of silence after which an open call is held to have been cut off.
_SILENCE = 600.0
#: Seconds of silence after which a task that has its result is held to be over.
_LINGER = 10.0
#: Calls that are held at most.
MOST = 20_000


@dataclass(slots=True)
class _Held:
    """A call that is remembered.  ``at``: when it was heard of last.  ``told``: its span has left,
    but it is the caller of others."""

    live: LiveCall
    at: float
    told: bool = False


@dataclass(slots=True)
class Taken:
    """What is ready."""

    spans: list[Span] = field(default_factory=list)
    lines: list[LogLine] = field(default_factory=list)


class Assembler:
    """Feed it every record in order; :meth:`take` now and then.

    ``fallback_ns``: what the wall clock is to have been at the first record with a time, should the
    log not say.
    """

    def __init__(
        self,
        longest: int = LONGEST,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        self.metrics, self.losses = Metrics(wall()), Losses()
        #: Calls without times, of which there can be no spans.
        self.untimed = 0
        #: Whether it is the time of reading that spans have, for want of another.
        self.guessed = False
        #: Why the guest will not return, where that is known.
        self.trap: Trap | None = None
        self._longest, self._clock, self._wall = longest, clock, wall
        self._base: int | None = None
        self._calls = Arriving()
        self._held: dict[int, _Held] = {}
        self._roots: dict[int, Root] = {}
        self._asked: dict[int, Request] = {}  # by number, of requests whose calls are held
        self._alone: list[Request] = []
        self._exchanges: list[Exchange] = []
        self._open: dict[int, int] = {}  # of exchanges under way: which of their request, by call
        self._counted: dict[int, int] = {}  # exchanges of a request so far
        self._lines = Lines()
        self._records, self._since = 0, 0

    # --- records ----------------------------------------------------------------------------------

    def feed(self, record: Record) -> None:
        phase, at = record["phase"], self._records
        self._records += 1
        self._since += 1
        if self._base is None and "t_ns" in record:
            self._place(record)
        if phase == "report":
            if "count" in record and "var" not in record:
                self._count(Site.of(record), record["count"])
            return
        if phase == "lost" or phase == "dropped":
            self.losses.feed(record)
            lost = record.get("lost", record.get("count"))
            count = lost if type(lost) is int else 0
            self.metrics.add(LOST, {"whamm_cm.why": str(record.get("why", "buffer"))}, count)
        live = self._calls.feed(record, at)
        if live is not None and phase == "call":
            self._called(live, record)
        elif live is not None and live.index in self._held:
            self._held[live.index].at = self._clock()
        elif live is not None and phase == "return":  # its call was lost
            self._held[live.index] = _Held(live, self._clock())
        if phase == "print":
            self._printed(record)
        self._ended()

    @property
    def due(self) -> bool:
        """Whether so much has come that it should be taken."""
        return self._since >= MOST // 4

    def _place(self, record: Record) -> None:
        if record["phase"] == "start" and "wall_ns" in record:
            self._base = record["wall_ns"] - record["t_ns"]
        elif record["phase"] != "start":
            self._base, self.guessed = self._wall() - record["t_ns"], True

    def _called(self, live: LiveCall, record: Record) -> None:
        held = self._held[live.index] = _Held(live, self._clock())
        self._lines.written(live, record, self._calls.seen[live.index].about, held.at)
        exchange = self._calls.traffic.exchange
        if exchange is not None and exchange.call == live.index:
            position = self._counted.get(exchange.req, 0)
            if exchange.kind == "http":
                self._counted[exchange.req] = position + 1
            self._open[live.index] = position

    def _printed(self, record: Record) -> None:
        live = self._calls.traffic.tracker.beside(record)
        self._lines.printed(live.parent, record)

    def _ended(self) -> None:
        traffic = self._calls.traffic
        if traffic.requests.over:
            for request in traffic.take_requests():
                self._counted.pop(request.req, None)
                if request.call in self._held:
                    self._asked[request.call] = request
                elif request.call < 0:
                    self._alone.append(request)
                self._served(request)
        if traffic.peers.over:
            for exchange in traffic.take_exchanges():
                self._exchanges.append(exchange)
                self._fetched(exchange)

    # --- what is ready ----------------------------------------------------------------------------

    def take(self, final: bool = False) -> Taken:
        """What can leave; ``final``: all, for no more comes."""
        if final:
            self._calls.traffic.finish()
            self._ended()
        self._since, taken = 0, Taken()
        order = sorted(self._held)
        where = {index: position for position, index in enumerate(order)}
        calls = self._calls.frozen(order, where, self._records)
        timed = [call.start_ns is not None for call in calls]
        made = Spans(
            Session(tuple(calls), {}, Losses(), self._records, all(timed)),
            self._base or 0,
            self._requests(where),
            self._longest,
            {where[index]: root for index, root in self._roots.items() if index in where},
            self.trap if final else None,
            bool(self.losses),
        )
        ready = self._ready(order, made, final)
        for position in ready:
            held = self._held[order[position]]
            held.told = True
            self._measured(held.live, calls[position])
            if timed[position]:
                taken.spans.append(made.of_call(position))
            else:
                self.untimed += 1
        self._take_exchanges(taken, made, where)
        taken.spans += [request_alone(one, self._base or 0) for one in self._alone]
        self._alone = []
        self._take_lines(taken, made, where, final)
        self._fix(order, made)
        self._forget(order, where, made)
        return taken

    def _requests(self, where: dict[int, int]) -> dict[int, Request]:
        """Those whose calls are held, as far as they are known by now."""
        found = {where[call]: one for call, one in self._asked.items() if call in where}
        for request in self._calls.traffic.requests.under_way():
            if request.call in where:
                found[where[request.call]] = request.frozen()
        return found

    def _ready(self, order: Sequence[int], made: Spans, final: bool) -> list[int]:
        now, full = self._clock(), len(order) > MOST
        held = [self._held[index] for index in order]
        busy: set[int] = set()
        for position, one in enumerate(held):
            root = made.roots[position]
            waits = root == position and one.live.site.edge == "inner"  # for who has called it
            if not self._over(one, now) or (waits and now - one.at < PATIENCE):
                busy.add(root)
        ready = []
        for position, one in enumerate(held):
            age = now - one.at
            late = self._over(one, now) and (full or age > PATIENCE)
            gone = full and position < len(order) // 2 or age > _SILENCE
            if not one.told and (final or late or gone or made.roots[position] not in busy):
                ready.append(position)
        return ready

    def _over(self, held: _Held, now: float) -> bool:
        """Whether nothing more comes of it.  Old logs do not say when tasks end."""
        if held.live.outcome is not Outcome.RETURNED:
            return held.told and now - held.at > _SILENCE
        if not held.live.is_task or self._calls.seen[held.live.index].exit >= 0:
            return True
        return now - held.at > _LINGER

    def _take_exchanges(self, taken: Taken, made: Spans, where: dict[int, int]) -> None:
        for exchange in self._exchanges:
            position = where.get(exchange.call)
            number = self._open.pop(exchange.call, 0)
            if position is not None and exchange.start_ns is not None:
                taken.spans.append(made.of_exchange(exchange, position, number))
        self._exchanges = []

    def _take_lines(self, taken: Taken, made: Spans, where: dict[int, int], final: bool) -> None:
        for chunk in self._lines.take(self._clock(), final):
            taken.lines.append(self._line(chunk, made, where))

    def _line(self, chunk: Chunk, made: Spans, where: dict[int, int]) -> LogLine:
        """Its span is that of the call around the one that wrote it."""
        call = chunk.call
        position = None if call is None else where.get(call.index)
        if position is not None and chunk.writes:
            position = made.parents[position] if made.parents[position] is not None else position
        trace_id = span_id = ""
        root = Root("")
        if position is not None:
            root = made.root(position)
            trace_id, span_id = root.trace_id, made.of_call(position).span_id
        time_ns = self._wall() if chunk.t_ns is None else chunk.t_ns + (self._base or 0)
        return LogLine(
            max(0, time_ns), chunk.text, chunk.number, chunk.severity, trace_id, span_id,
            chunk.attributes, root.service, root.source,
        )  # fmt: skip

    def _fix(self, order: Sequence[int], made: Spans) -> None:
        """Whatever a request says of itself later, its trace remains the one that spans have."""
        for position, index in enumerate(order):
            if self._held[index].told:
                root = order[made.roots[position]]
                self._roots.setdefault(root, made.root(position))

    def _forget(self, order: Sequence[int], where: dict[int, int], made: Spans) -> None:
        """Those whose spans have left, and that nobody needs who is left."""
        now = self._clock()
        needed = {where[call.index] for call in self._lines.waiting() if call.index in where}
        for position, index in enumerate(order):
            held = self._held[index]
            if not held.told or index in self._open or not self._over(held, now):
                at: int | None = position
                while at is not None and at not in needed:
                    needed.add(at)
                    at = made.parents[at]
        for position, index in enumerate(order):
            if position not in needed:
                del self._held[index]
                self._calls.forget(index)
                self._roots.pop(index, None)
                self._asked.pop(index, None)

    # --- metrics ----------------------------------------------------------------------------------

    def _count(self, site: Site, count: int) -> None:
        self.metrics.add(CALLS, _of(site), count)

    def _measured(self, live: LiveCall, call: Call) -> None:
        key, error = _of(live.site), error_type(call)
        if error is not None:
            key["error.type"] = error
        self.metrics.add(CALLS, key)
        if live.dur_ns is not None:
            self.metrics.observe(DURATION, key, live.dur_ns / 1e9)

    def _served(self, request: Request) -> None:
        if not request.is_http or request.dur_ns is None:
            return
        found, error = request_attributes(request, "")
        key = _key(found, "http.request.method", "url.scheme", "http.response.status_code",
                   "http.route")  # fmt: skip
        if error is not None:
            key["error.type"] = error
        self.metrics.observe(SERVER, key, request.dur_ns / 1e9)

    def _fetched(self, exchange: Exchange) -> None:
        if exchange.kind != "http" or exchange.dur_ns is None:
            return
        _, found, error = exchange_attributes(exchange)
        key = _key(found, "http.request.method", "server.address", "server.port",
                   "http.response.status_code")  # fmt: skip
        if error is not None:
            key["error.type"] = error
        self.metrics.observe(CLIENT, key, exchange.dur_ns / 1e9)


def _of(site: Site) -> dict[str, str | int]:
    found: dict[str, str | int] = {"code.function.name": site.item, "whamm_cm.edge": site.edge}
    if site.component:
        found["whamm_cm.component"] = site.component
    return found


def _key(attributes: dict[str, Value], *names: str) -> dict[str, str | int]:
    found = {name: attributes.get(name) for name in names}
    return {name: value for name, value in found.items() if isinstance(value, str | int)}

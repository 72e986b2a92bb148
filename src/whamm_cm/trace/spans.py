"""Spans of a log: one for each call, with its parent, by OpenTelemetry's model.

A trace is what one export was asked for, or that which the request of an export belongs to.  A span
of an export lasts until its task is over, of an asynchronous call until its result is there.  Who
called what is told by tasks, and between instances only where it is certain.  What is asked of a
peer is a span of its own, from the call that asks to the answer.  Whatever writes spans down, or
sends them, takes them from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field

from whamm_cm.dataclass import dataclass
from whamm_cm.trace.call import Call
from whamm_cm.trace.calls import Outcome
from whamm_cm.trace.context import (
    SPAN_DIGITS,
    TRACE_DIGITS,
    exchange_span,
    identity,
    parse_traceparent,
    request_trace,
)
from whamm_cm.trace.flows import flows
from whamm_cm.trace.peers import Exchange
from whamm_cm.trace.requests import UNFINISHED, Request
from whamm_cm.trace.semconv import (
    LONGEST,
    Attributes,
    Kind,
    call_attributes,
    client_attributes,
    error_type,
    http_name,
    kind_of,
    limited,
    method_attributes,
    name_of,
    server_attributes,
    status_attributes,
    trigger_of,
)
from whamm_cm.trace.session import Session
from whamm_cm.trace.timeline import timeline


@dataclass(frozen=True, slots=True)
class Event:
    name: str
    time_ns: int
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """``start`` and ``end`` are nanoseconds since 1970.  ``remote``: the parent is somebody else's.
    ``error`` is None for none, else what is to be said of it beside ``error.type``, maybe "".
    ``service`` is the component that was asked, ``source`` where the log is from that tells it."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: Kind
    start: int
    end: int
    attributes: Attributes
    events: tuple[Event, ...] = ()
    error: str | None = None
    remote: bool = False
    service: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Trap:
    """Why a guest will not return, and where it was."""

    message: str
    stack: str = ""


@dataclass(frozen=True, slots=True)
class Root:
    """What all spans of a trace have from the outermost: ``parent`` is of whoever asked."""

    trace_id: str
    parent: str | None = None
    service: str = ""
    source: str = ""


def all_spans(session: Session, base: int) -> Iterator[Span]:
    """Those of a whole log: of its calls in their order, then of what was asked of peers."""
    requests = {one.call: one for one in session.requests if one.call >= 0}
    made = Spans(session, base, requests, gaps=bool(session.losses))
    for index in range(len(session.calls)):
        yield made.of_call(index)
    for request in session.requests:
        if request.call < 0:
            yield request_alone(request, base)
    positions: dict[int, int] = {}
    for exchange in session.exchanges:
        if exchange.kind == "http":
            positions[exchange.req] = positions.get(exchange.req, -1) + 1
        yield made.of_exchange(exchange, exchange.call, positions.get(exchange.req, 0))


class Spans:
    """Spans of the calls of a session.  ``base`` is what 0 of its clock is since 1970; ``requests``
    are by the index of the call they began with; ``longest`` is how many characters a value has at
    most; ``fixed`` the roots that spans have left with already, by the index of the call.
    ``trap``: why what is open will not return.
    ``gaps``: records are missing, so that nobody knows what has not returned."""

    def __init__(
        self,
        session: Session,
        base: int,
        requests: Mapping[int, Request],
        longest: int = LONGEST,
        fixed: Mapping[int, Root] | None = None,
        trap: Trap | None = None,
        gaps: bool = False,
    ) -> None:
        self._calls, self._requests = session.calls, requests
        self._base, self._longest, self._trap, self._gaps = base, longest, trap, gaps
        self._times = timeline(session)
        self.parents = parents_of(session)
        self.roots = roots_of(self.parents)
        self._known: dict[int, Root] = dict(fixed or {})

    def root(self, index: int) -> Root:
        """Of the trace that the call is part of."""
        at = self.roots[index]
        found = self._known.get(at)
        if found is None:
            found = self._known[at] = root_of(self._calls[at], self._requests.get(at))
        return found

    def of_call(self, index: int) -> Span:
        call, above, root = self._calls[index], self.parents[index], self.root(index)
        request = self._requests.get(index) if above is None else None
        _, start, end = self._times[index]
        attributes = dict(call_attributes(call))
        name, kind, trap = name_of(call), error_type(call), None
        error = _described(call, kind)
        if self._gaps and call.outcome is Outcome.UNFINISHED:
            kind = error = None
        if self._trap is not None and above is None and call.outcome is Outcome.UNFINISHED:
            kind, error, trap = "trap", self._trap.message, self._trap
        if request is not None:
            start, end = _wider(request, start, end)
            more, failure = request_attributes(request, call.run)
            attributes.update(more)
            if self._gaps and request.error == UNFINISHED:
                failure = None
            kind, error = failure or kind, error or ("" if failure else None)
            name = http_name(request.method, request.route) if request.is_http else name
            trap = trap or _trap_of(request)
            error = trap.message if trap is not None else error
        if kind is not None:
            attributes["error.type"] = kind
        return Span(
            root.trace_id,
            span_id(call),
            root.parent if above is None else span_id(self._calls[above]),
            name,
            kind_of(call),
            clock_ns(start + self._base),
            clock_ns(end + self._base),
            limited(attributes, self._longest),
            (*_events(call, start + self._base), *_exceptions(trap, end + self._base)),
            error,
            above is None and root.parent is not None,
            root.service,
            root.source,
        )

    def of_exchange(self, exchange: Exchange, index: int, position: int) -> Span:
        """``index``: of the call that began it; ``position``: the how many-th request to a peer it
        is of those that belong to one request, from 0."""
        root, above = self.root(index), self.parents[index]
        parent = root.parent if above is None else span_id(self._calls[above])
        name, attributes, error = exchange_attributes(exchange)
        if error is not None:
            attributes["error.type"] = error
        start = (exchange.start_ns or 0) + self._base
        return Span(
            root.trace_id,
            self._exchange_id(exchange, index, position),
            parent,
            name,
            Kind.CLIENT,
            clock_ns(start),
            clock_ns(start + (exchange.dur_ns or 0)),
            limited(attributes, self._longest),
            (),
            None if error is None else "",
            above is None and root.parent is not None,
            root.service,
            root.source,
        )

    def _exchange_id(self, exchange: Exchange, index: int, position: int) -> str:
        """That which a host has passed on, if it was one that numbers requests."""
        call, request = self._calls[index], self._requests.get(self.roots[index])
        if exchange.kind == "http" and request is not None and request.hosted:
            return exchange_span(call.run, request.req, position)
        return identity(SPAN_DIGITS, "exchange", *_key(call))


def request_alone(request: Request, base: int) -> Span:
    """Of a request of which no call was recorded."""
    run = request.run
    attributes, error = request_attributes(request, run)
    if error is not None:
        attributes["error.type"] = error
    start = (request.start_ns or 0) + base
    context = parse_traceparent(request.traceparent)
    end = start + (request.dur_ns or 0)
    return Span(
        request_trace(run, request.req) if context is None else context.trace_id,
        identity(SPAN_DIGITS, "request", run, request.req),
        None if context is None else context.span_id,
        http_name(request.method, request.route),
        Kind.SERVER,
        clock_ns(start),
        clock_ns(end),
        limited(attributes),
        tuple(_exceptions(_trap_of(request), end)),
        None if error is None else "",
        context is not None,
    )


def root_of(call: Call, request: Request | None) -> Root:
    """What the request brings along, else a trace of its own."""
    context = parse_traceparent(None if request is None else request.traceparent)
    more = call.site.component, source_of(call)
    if context is not None:
        return Root(context.trace_id, context.span_id, *more)
    if request is not None and request.hosted:
        return Root(request_trace(call.run, request.req), None, *more)
    return Root(identity(TRACE_DIGITS, "trace", *_key(call)), None, *more)


def request_attributes(request: Request, run: str) -> tuple[Attributes, str | None]:
    """What is known of a request beside its call, and its ``error.type``."""
    found: Attributes = {"faas.trigger": trigger_of(request.function, request.is_http)}
    found["faas.invocation_id"] = f"{run}/{request.req}" if run else str(request.req)
    if not request.is_http:
        return found, None
    found.update(method_attributes(request.method))
    found.update(
        server_attributes(request.path, request.scheme or "http", request.authority, request.peer)
    )
    if request.route is not None:
        found["http.route"] = request.route
    told, error = status_attributes(request.status, 500)
    found.update(told)
    return found, _word(request.error) or error


def exchange_attributes(exchange: Exchange) -> tuple[str, Attributes, str | None]:
    """The span's name, what is known of it, and its ``error.type``."""
    if exchange.kind == "http":
        found = method_attributes(exchange.method)
        found.update(client_attributes(exchange.url, exchange.peer))
        told, error = status_attributes(exchange.status, 400)
        found.update(told)
        name = http_name(exchange.method, None)
    else:
        found, error = client_attributes(None, exchange.peer), None
        transport = "tcp" if exchange.kind == "tls" else exchange.kind
        found["network.transport"] = transport
        name = f"{exchange.kind} {exchange.peer}"
    found["whamm_cm.sent"], found["whamm_cm.received"] = exchange.sent, exchange.received
    return name, found, _word(exchange.error) or error


def _word(error: str | None) -> str | None:
    if error is None:
        return None
    return "trap" if _is_trap(error) else error.replace(" ", "-")


def _is_trap(error: str) -> bool:
    """A code of an error is one word."""
    return " " in error and error != UNFINISHED


def _trap_of(request: Request) -> Trap | None:
    return Trap(request.error) if request.error and _is_trap(request.error) else None


def _exceptions(trap: Trap | None, time_ns: int) -> Iterator[Event]:
    if trap is not None:
        about: Attributes = {"exception.type": "trap", "exception.message": trap.message}
        if trap.stack:
            about["exception.stacktrace"] = trap.stack
        yield Event("exception", clock_ns(time_ns), about)


def clock_ns(time_ns: int) -> int:
    """A time as it can be sent, in 64 bits: a log may say anything."""
    return min(max(0, time_ns), (1 << 64) - 1)


def _wider(request: Request, start: int, end: int) -> tuple[int, int]:
    """A host may know of it before its guest, and after."""
    if request.start_ns is None:
        return start, end
    first = min(start, request.start_ns)
    return first, max(end, request.start_ns + (request.dur_ns or 0))


def parents_of(session: Session) -> list[int | None]:
    """Callers of the same instance, and those of others that are certain."""
    calls = session.calls
    found: list[int | None] = [
        call.parent
        if call.parent is not None and calls[call.parent].instance == call.instance
        else None
        for call in calls
    ]
    for caller, callee in flows(session):
        above: int | None = caller
        while above is not None and above != callee:
            above = found[above]
        if above is None:
            found[callee] = caller
    return found


def roots_of(parents: list[int | None]) -> list[int]:
    """The outermost caller of each."""
    roots: list[int | None] = [None] * len(parents)
    for index in range(len(parents)):
        path, at = [index], index
        while roots[at] is None and (above := parents[at]) is not None:
            path.append(at := above)
        root = roots[at] if roots[at] is not None else at
        for step in path:
            roots[step] = root
    return [root for root in roots if root is not None]


def source_of(call: Call) -> str:
    source: str = (call.opened or call.closed or {}).get("source", "")
    return source


def span_id(call: Call) -> str:
    return identity(SPAN_DIGITS, "span", *_key(call))


def _key(call: Call) -> Iterable[str | int | None]:
    """The same for the same call however much of the log is known, and no other's: logs of several
    runs may reuse the same numbers, but not at the same time."""
    whose = call.run or source_of(call)
    return whose, call.instance, call.call, call.site.edge, call.site.item, call.start_ns


def _events(call: Call, start: int) -> Iterator[Event]:
    if call.starting_ns is not None:
        yield Event("started", clock_ns(start + call.starting_ns))
    if call.dur_ns is not None and call.dur_ns < (call.exit_ns or 0):
        name = "cancelled" if call.cancelled else "returned"
        yield Event(name, clock_ns(start + call.dur_ns))


def _described(call: Call, kind: str | None) -> str | None:
    """What is to be said of an error beside its kind; None where there is none."""
    if call.cancelled:
        return f"cancelled {call.cancelled.replace('-', ' it ')}"
    if call.outcome is Outcome.UNFINISHED:
        return "it never returned"
    return None if kind is None else ""

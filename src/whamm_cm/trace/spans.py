"""Spans of a log: one for each call, with its parent, by OpenTelemetry's model.

A trace is what one export was asked for, or that which the request of an export belongs to.  A span
of an export lasts until its task is over, of an asynchronous call until its result is there.  Who
called what is told by tasks, and between instances only where it is certain.  What writes spans
down, or sends them, takes them from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import field

from whamm_cm.dataclass import dataclass
from whamm_cm.trace.calls import Outcome
from whamm_cm.trace.context import SPAN_DIGITS, TRACE_DIGITS, identity
from whamm_cm.trace.flows import flows
from whamm_cm.trace.semconv import (
    LONGEST,
    Attributes,
    Kind,
    call_attributes,
    error_type,
    kind_of,
    limited,
    name_of,
)
from whamm_cm.trace.session import Call, Session
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
    ``source`` is where the log is from that tells it."""

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
    source: str = ""


def spans(session: Session, base: int, longest: int = LONGEST) -> Iterator[Span]:
    """A span for each call of the session, in their order.  ``base`` is what 0 of its clock is
    since 1970; ``longest`` how many characters a value has at most."""
    calls = session.calls
    parents = parents_of(session)
    roots = roots_of(parents)
    for index, (call, start, end) in enumerate(timeline(session)):
        above = parents[index]
        yield Span(
            trace_id(calls[roots[index]]),
            span_id(call),
            None if above is None else span_id(calls[above]),
            name_of(call),
            kind_of(call),
            max(0, start + base),
            max(0, end + base),
            limited(_attributes(call), longest),
            tuple(_events(call, start + base)),
            _error(call),
            source=source_of(call),
        )


def _attributes(call: Call) -> Attributes:
    found = dict(call_attributes(call))
    error = error_type(call)
    if error is not None:
        found["error.type"] = error
    return found


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


def trace_id(root: Call) -> str:
    return identity(TRACE_DIGITS, "trace", *_key(root))


def span_id(call: Call) -> str:
    return identity(SPAN_DIGITS, "span", *_key(call))


def _key(call: Call) -> Iterable[str | int | None]:
    """The same for the same call however much of the log is known, and no other's: logs of several
    runs may reuse the same numbers, but not at the same time."""
    whose = call.run or source_of(call)
    return whose, call.instance, call.call, call.site.edge, call.site.item, call.start_ns


def _events(call: Call, start: int) -> Iterator[Event]:
    if call.starting_ns is not None:
        yield Event("started", max(0, start + call.starting_ns))
    if call.dur_ns is not None and call.dur_ns < (call.exit_ns or 0):
        name = "cancelled" if call.cancelled else "returned"
        yield Event(name, max(0, start + call.dur_ns))


def _error(call: Call) -> str | None:
    if call.cancelled:
        return f"cancelled {call.cancelled.replace('-', ' it ')}"
    if call.outcome is Outcome.UNFINISHED:
        return "it never returned"
    return "" if call.failed else None

"""OpenTelemetry spans as OTLP in JSON, one request: what a collector takes at ``/v1/traces``.

A trace is what one export was asked for, a span a call: of an export until its task is over, of
an asynchronous call until its result is there.  Who called what is told by tasks, and between
instances only where it is certain.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

from whamm_cm._version import __version__
from whamm_cm.errors import UsageError
from whamm_cm.render.jsonl import compact
from whamm_cm.render.lanes import timeline
from whamm_cm.render.options import RenderOptions
from whamm_cm.trace.calls import Outcome
from whamm_cm.trace.flows import flows
from whamm_cm.trace.records import Record
from whamm_cm.trace.session import Call, Session

_KINDS = {"export": 2, "import": 3}  # of a server, of a client; all else is internal
_INTERNAL, _ERROR = 1, 2
Object = dict[str, Any]


class _Clock:
    """Passes records on; notes the wall clock of the first that says it, by that of the log."""

    def __init__(self) -> None:
        self.base: int | None = None

    def watch(self, records: Iterable[Record]) -> Iterator[Record]:
        for record in records:
            if self.base is None and record["phase"] == "start" and "wall_ns" in record:
                self.base = record["wall_ns"] - record.get("t_ns", 0)
            yield record


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    """Raises UsageError for a log without times."""
    clock = _Clock()
    session = Session.build(clock.watch(records))
    if not session.timed:
        raise UsageError("spans have times, and this log has none; record it with times")
    about = [_attribute("service.name", _service(session))]
    if clock.base is None:
        about.append(_attribute("whamm_cm.clock", "since the start: the log has no wall clock"))
    if session.losses:
        about.append(_attribute("whamm_cm.lost", str(session.losses.number)))
    scope = {"name": "whamm-cm", "version": __version__}
    spans = list(_spans(session, clock.base or 0))
    traces = {"resource": {"attributes": about}, "scopeSpans": [{"scope": scope, "spans": spans}]}
    yield compact({"resourceSpans": [traces]}) + "\n"


def _service(session: Session) -> str:
    """The component that was called first, as far as it has a name."""
    return next((call.site.component for call in session.calls if call.site.component), "component")


def _spans(session: Session, base: int) -> Iterator[Object]:
    parents = _parents(session)
    roots = _roots(parents)
    for index, (call, start, end) in enumerate(timeline(session)):
        span: Object = {
            "traceId": _id(session.calls[roots[index]], "trace", 16),
            "spanId": _id(call, "span", 8),
        }
        parent = parents[index]
        if parent is not None:
            span["parentSpanId"] = _id(session.calls[parent], "span", 8)
        span |= {
            "name": call.site.shown,
            "kind": _KINDS.get(call.site.edge, _INTERNAL),
            "startTimeUnixNano": str(max(0, start + base)),
            "endTimeUnixNano": str(max(0, end + base)),
            "attributes": list(_attributes(call)),
        }
        if events := list(_events(call, start + base)):
            span["events"] = events
        if status := _status(call):
            span["status"] = status
        yield span


def _parents(session: Session) -> list[int | None]:
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


def _roots(parents: list[int | None]) -> list[int]:
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


def _id(call: Call, what: str, size: int) -> str:
    """The same for the same call of the same log, and no other's."""
    record = call.opened or call.closed or {}
    key = [what, record.get("source", ""), call.run, call.instance, call.call, call.site.item]
    return hashlib.sha256(json.dumps([*key, call.start_seq]).encode()).hexdigest()[: 2 * size]


def _attributes(call: Call) -> Iterator[Object]:
    site = call.site
    yield _attribute("whamm_cm.edge", site.edge)
    for name in ("component", "interface", "version", "func"):
        if getattr(site, name):
            yield _attribute(f"whamm_cm.{name}", getattr(site, name))
    yield _attribute("whamm_cm.instance", call.instance)
    if call.task:
        yield _attribute("whamm_cm.task", call.task)
    if call.self_handle is not None:
        yield _attribute("whamm_cm.self", call.self_handle)
    for name, value in call.args.items():
        yield _attribute(f"whamm_cm.args.{name}", compact(value))
    if call.has_result:
        yield _attribute("whamm_cm.result", compact(call.result))
    if call.waits:
        waited = sum(last - first for first, last in call.waits)
        yield _attribute("whamm_cm.waiting_ns", waited)
    if call.outcome is not Outcome.RETURNED:
        yield _attribute("whamm_cm.outcome", call.outcome.value)


def _attribute(name: str, value: str | int) -> Object:
    """Integers are texts in OTLP's JSON, as are all of 64 bits."""
    held = {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}
    return {"key": name, "value": held}


def _events(call: Call, start: int) -> Iterator[Object]:
    if call.starting_ns is not None:
        yield {"timeUnixNano": str(max(0, start + call.starting_ns)), "name": "started"}
    if call.dur_ns is not None and call.dur_ns < (call.exit_ns or 0):
        name = "cancelled" if call.cancelled else "returned"
        yield {"timeUnixNano": str(max(0, start + call.dur_ns)), "name": name}


def _status(call: Call) -> Object:
    if call.cancelled:
        return {"code": _ERROR, "message": f"cancelled {call.cancelled.replace('-', ' it ')}"}
    if call.failed:
        return {"code": _ERROR}
    if call.outcome is Outcome.UNFINISHED:
        return {"code": _ERROR, "message": "it never returned"}
    return {}

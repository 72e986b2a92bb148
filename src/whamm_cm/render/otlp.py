"""OpenTelemetry spans as OTLP in JSON, one request: what a collector takes at ``/v1/traces``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from whamm_cm._version import __version__
from whamm_cm.errors import UsageError
from whamm_cm.render.jsonl import compact
from whamm_cm.render.options import RenderOptions
from whamm_cm.trace.records import Record
from whamm_cm.trace.semconv import Value
from whamm_cm.trace.session import Session
from whamm_cm.trace.spans import Event, Span, all_spans
from whamm_cm.trace.timeline import WallClock

_ERROR = 2
#: Of a span's flags: it is known whether the parent is remote, and it is.
_SAMPLED, _KNOWN, _REMOTE = 1, 0x100, 0x200
Object = dict[str, Any]


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    """Raises UsageError for a log without times."""
    clock = WallClock()
    session = Session.build(clock.watch(records))
    if not session.timed:
        raise UsageError("spans have times, and this log has none; record it with times")
    about: dict[str, Value] = {"service.name": _service(session)}
    if clock.base is None:
        about["whamm_cm.clock"] = "since the start: the log has no wall clock"
    if session.losses:
        about["whamm_cm.lost"] = str(session.losses.number)
    scope = {"name": "whamm-cm", "version": __version__}
    found = [_span(span) for span in all_spans(session, clock.base or 0)]
    resource = {"attributes": _attributes(about)}
    traces = {"resource": resource, "scopeSpans": [{"scope": scope, "spans": found}]}
    yield compact({"resourceSpans": [traces]}) + "\n"


def _service(session: Session) -> str:
    """The component that was called first, as far as it has a name."""
    return next((call.site.component for call in session.calls if call.site.component), "component")


def _span(span: Span) -> Object:
    shown: Object = {"traceId": span.trace_id, "spanId": span.span_id}
    if span.parent_id is not None:
        shown["parentSpanId"] = span.parent_id
    if span.remote:
        shown["flags"] = _SAMPLED | _KNOWN | _REMOTE
    shown |= {
        "name": span.name,
        "kind": int(span.kind),
        "startTimeUnixNano": str(span.start),
        "endTimeUnixNano": str(span.end),
        "attributes": _attributes(span.attributes),
    }
    if span.events:
        shown["events"] = [_event(event) for event in span.events]
    if span.error is not None:
        shown["status"] = {"code": _ERROR, **({"message": span.error} if span.error else {})}
    return shown


def _event(event: Event) -> Object:
    shown: Object = {"timeUnixNano": str(event.time_ns), "name": event.name}
    if event.attributes:
        shown["attributes"] = _attributes(event.attributes)
    return shown


def _attributes(values: Mapping[str, Value]) -> list[Object]:
    return [{"key": name, "value": _value(value)} for name, value in values.items()]


def _value(value: Value) -> Object:
    """Integers are texts in OTLP's JSON, as are all of 64 bits."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, tuple):
        return {"arrayValue": {"values": [_value(one) for one in value]}}
    return {"stringValue": value}

"""Files of the OpenTelemetry collector: a request of the protocol (OTLP, JSON encoding) a line.

A line of the host is the body of a log record; where it is from, the attributes of its resource
say, and its own (``log.file.path``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from whamm_cm.trace.logs.piece import Piece, joined

#: Attributes that tell sources apart, in the order in which they are named.
ATTRIBUTES = (
    *("host.name", "k8s.namespace.name", "k8s.pod.name", "k8s.container.name", "container.name"),
    *("container.id", "service.name", "service.instance.id", "log.file.path"),
)


def of_object(value: dict[str, Any]) -> list[Piece] | None:
    if not isinstance(value.get("resourceLogs"), list):
        return None
    return list(_pieces(value["resourceLogs"]))


def _pieces(resources: list[Any]) -> Iterator[Piece]:
    for resource in _objects(resources):
        outer = _attributes(resource.get("resource"))
        for scope in _objects(resource.get("scopeLogs")):
            for each in _objects(scope.get("logRecords")):
                body = each.get("body")
                text = body.get("stringValue") if isinstance(body, dict) else None
                if isinstance(text, str):
                    known = {**outer, **_attributes(each)}
                    source = joined(*(known.get(key) for key in ATTRIBUTES))
                    partial = known.get("logtag") == "P"
                    stream = known.get("log.iostream", "")
                    yield Piece(text.rstrip("\r\n"), source, _time(each), stream, partial)


def _objects(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, dict))


def _attributes(value: object) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in _objects(value.get("attributes") if isinstance(value, dict) else None):
        key, held = each.get("key"), each.get("value")
        text = held.get("stringValue") if isinstance(held, dict) else None
        if isinstance(key, str) and isinstance(text, str):
            found[key] = text
    return found


def _time(record: dict[str, Any]) -> int | None:
    """``timeUnixNano``, a 64-bit number that is a string in JSON; 0 means unknown."""
    for key in ("timeUnixNano", "observedTimeUnixNano"):
        value = record.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 63:
            return value
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
            return int(value) or None
    return None

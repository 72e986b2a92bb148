"""An OTLP receiver for tests: takes what a host exports over HTTP in protobuf.

Field numbers are those of opentelemetry-proto 1.x (``trace.proto``, ``logs.proto``).
"""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.hosts.rig import DEADLINE


@dataclass(frozen=True, slots=True)
class Span:
    """``kind``: 1 internal, 2 server, 3 client; ``status``: 0 unset, 1 ok, 2 error."""

    trace: str
    span: str
    parent: str
    name: str
    kind: int
    start: int
    end: int
    attributes: dict[str, str]
    status: int
    message: str


@dataclass(slots=True)
class Collector:
    """What has arrived."""

    port: int
    spans: list[Span] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)

    def expect(self, *names: str) -> None:
        """Waits until spans of these names are there; fails when they do not come."""
        end = time.monotonic() + DEADLINE
        while not set(names) <= {span.name for span in self.spans}:
            assert time.monotonic() < end, sorted({span.name for span in self.spans})
            time.sleep(0.02)

    def take(self, path: str, body: bytes) -> None:
        if path.endswith("/traces"):
            found = _inside(body, 1, 2, 2)
            self.spans += (_span(each) for each in found)
        elif path.endswith("/logs"):
            self.logs += (_text(_first(each, 5, b"")) for each in _inside(body, 1, 2, 2))


@contextmanager
def collector() -> Iterator[Collector]:
    """One on a port of its own."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.take(self.path, self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Collector(server.server_address[1])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield found
        finally:
            server.shutdown()


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a message: numbers as they are, all else as bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        size, at = (8, at) if wire == 1 else (4, at) if wire == 5 else _varint(data, at)
        raw = data[at : at + size]
        yield key >> 3, raw if wire == 2 else int.from_bytes(raw, "little")
        at += size


def _inside(data: bytes, *path: int) -> list[bytes]:
    """The messages that these fields lead to."""
    found = [data]
    for number in path:
        found = [value for each in found for key, value in _fields(each) if key == number]
    return found


def _first(data: bytes, number: int, default: Any) -> Any:
    return next((value for key, value in _fields(data) if key == number), default)


def _text(any_value: bytes) -> str:
    return str(_first(any_value, 1, b"").decode())


def _span(data: bytes) -> Span:
    pairs = [value for key, value in _fields(data) if key == 9]
    status = _first(data, 15, b"")
    return Span(
        trace=_first(data, 1, b"").hex(),
        span=_first(data, 2, b"").hex(),
        parent=_first(data, 4, b"").hex(),
        name=_first(data, 5, b"").decode(),
        kind=_first(data, 6, 0),
        start=_first(data, 7, 0),
        end=_first(data, 8, 0),
        attributes={_first(p, 1, b"").decode(): _text(_first(p, 2, b"")) for p in pairs},
        status=_first(status, 3, 0),
        message=_first(status, 2, b"").decode(),
    )

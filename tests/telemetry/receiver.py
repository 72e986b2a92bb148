"""A receiver of OTLP over HTTP, which keeps what it gets and answers as it is told."""

from __future__ import annotations

import gzip
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("opentelemetry.proto", reason="needs whamm-cm[otlp]")
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (  # noqa: E402
    ExportLogsServiceRequest,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (  # noqa: E402
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # noqa: E402
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

DEADLINE = 30.0
KINDS = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
}


@dataclass
class Reply:
    """How one request is answered.  ``closes``: the connection ends without an answer; ``waits``:
    for this first; ``forever``: the body comes again and again, while somebody reads it."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    closes: bool = False
    waits: threading.Event | None = None
    forever: bool = False


@dataclass
class Receiver:
    """``replies`` are used up one by one, by requests for spans; then all is well."""

    url: str
    replies: deque[Reply] = field(default_factory=deque)
    always: dict[str, Reply] = field(default_factory=dict)
    got: list[tuple[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    asked: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def until(self, true: Callable[[], object]) -> None:
        with self.changed:
            assert self.changed.wait_for(true, DEADLINE), "it did not come"

    @property
    def spans(self) -> list[dict[str, Any]]:
        return [
            {
                "name": span.name,
                "trace": span.trace_id.hex(),
                "id": span.span_id.hex(),
                "parent": span.parent_span_id.hex(),
                "kind": span.kind,
                "start": span.start_time_unix_nano,
                "end": span.end_time_unix_nano,
                "flags": span.flags,
                "attributes": attributes(span.attributes),
                "events": [(e.name, attributes(e.attributes)) for e in span.events],
                "status": (span.status.code, span.status.message),
                "resource": attributes(of.resource.attributes),
            }
            for path, request in self.got
            if path == "/v1/traces"
            for of in request.resource_spans
            for scope in of.scope_spans
            for span in scope.spans
        ]

    @property
    def logs(self) -> list[dict[str, Any]]:
        return [
            {
                "body": record.body.string_value,
                "severity": (record.severity_number, record.severity_text),
                "trace": record.trace_id.hex(),
                "span": record.span_id.hex(),
                "time": record.time_unix_nano,
                "attributes": attributes(record.attributes),
            }
            for path, request in self.got
            if path == "/v1/logs"
            for of in request.resource_logs
            for scope in of.scope_logs
            for record in scope.log_records
        ]

    @property
    def metrics(self) -> dict[str, Any]:
        """The last of each name."""
        return {
            metric.name: metric
            for path, request in self.got
            if path == "/v1/metrics"
            for of in request.resource_metrics
            for scope in of.scope_metrics
            for metric in scope.metrics
        }


def attributes(found: Any) -> dict[str, Any]:
    return {one.key: _value(one.value) for one in found}


def _value(value: Any) -> Any:
    which = value.WhichOneof("value")
    return None if which is None else getattr(value, which)


@contextmanager
def receiving(certificate: tuple[Path, Path] | None = None) -> Iterator[Receiver]:
    """One on a free port; ``certificate``: files of it and of its key, for TLS."""
    found = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["content-length"]))
            reply = found.always.get(self.path, Reply())
            with found.changed:
                found.asked += 1
                found.headers.append({k.lower(): v for k, v in self.headers.items()})
                if self.path == "/v1/traces" and found.replies:
                    reply = found.replies.popleft()
                found.changed.notify_all()
            if reply.waits is not None:
                reply.waits.wait(DEADLINE)
            if reply.closes:
                self.close_connection = True
                return
            known = self.path in KINDS
            if known and reply.status == 200:
                if self.headers.get("content-encoding") == "gzip":
                    data = gzip.decompress(data)
                with found.changed:
                    found.got.append((self.path, KINDS[self.path].FromString(data)))
                    found.changed.notify_all()
            self.send_response(reply.status if known else 404)
            headers = {"content-type": "application/x-protobuf", **reply.headers}
            for name, value in headers.items():
                self.send_header(name, value)
            if not reply.forever:
                self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.close_connection = reply.forever
            if not reply.forever:
                self.wfile.write(reply.body)
                return
            with suppress(OSError):
                while True:
                    self.wfile.write(reply.body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "https" if certificate is not None else "http"
    found.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


def partial(count: int, why: str) -> Reply:
    """It arrives, and so many of it are not wanted."""
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = count
    response.partial_success.error_message = why
    return Reply(body=response.SerializeToString())

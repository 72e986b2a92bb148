"""OTLP over HTTP by the exporters of the OpenTelemetry project, which an extra brings along.

They read ``OTEL_EXPORTER_OTLP_*``, try again for as long as their time-out says, and heed
``Retry-After``.  Why a batch did not arrive they only log; so the session that they send by takes
note of it.
"""

from __future__ import annotations

import logging
import os
import ssl
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from whamm_cm._version import __version__
from whamm_cm.errors import cut
from whamm_cm.telemetry.loglines import LogLine
from whamm_cm.telemetry.metrics import Instrument, Metrics, Point
from whamm_cm.telemetry.sending import Answer, many
from whamm_cm.trace.spans import Span, clock_ns

_SCOPE: Final = InstrumentationScope("whamm-cm", __version__)
_KINDS = {kind.value + 1: kind for kind in SpanKind}
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
#: Statuses after which the same batch may be taken later.
_AGAIN = (429, 502, 503, 504)
#: Those of an address where nobody takes this kind.
_NOBODY = (404, 405)
#: Bytes that are read of an answer: what a collector has to say is short, and whoever is in its
#: place can send without end.
_ANSWER = 1 << 16
PATHS: Final = {"span": "v1/traces", "log record": "v1/logs", "set of metrics": "v1/metrics"}


class Resources:
    """What telemetry is of: a resource for each service and each place that logs come from.

    ``service`` is the name of what has none, ``instance`` identifies what is not from a log.
    """

    def __init__(self, service: str, instance: str) -> None:
        self._service, self._instance = service, instance
        self._told = OTELResourceDetector().detect()
        self._known: dict[tuple[str, str], Resource] = {}

    def of(self, service: str, source: str) -> Resource:
        key = service, source
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= 1024:
                self._known.clear()
            own = Resource(
                {
                    "service.name": _text(service or self._service),
                    "service.instance.id": _text(source or self._instance),
                    "telemetry.distro.name": "whamm-cm",
                    "telemetry.distro.version": __version__,
                }
            )
            found = self._known[key] = own.merge(self._told)
        return found


class _Notes(requests.Session):
    """Remembers how the last request went."""

    def __init__(self) -> None:
        super().__init__()
        self.response: requests.Response | None = None
        self.error: Exception | None = None

    def request(self, *args: Any, **more: Any) -> requests.Response:
        self.response = self.error = None
        if isinstance(self.verify, str):  # before what is in the environment for all
            more["verify"] = self.verify
        try:
            self.response = _begun(super().request(*args, **(more | {"stream": True})))
        except requests.exceptions.SSLError as error:
            self.error = error
            # It will be no other the next time: no error of a connection, as it is one otherwise.
            raise _UntrustedError(str(error)) from error
        except Exception as error:
            self.error = error
            raise
        if 300 <= self.response.status_code < 400:
            raise _MovedError(self.response.headers.get("location", "elsewhere"))
        return self.response


def _begun(response: requests.Response) -> requests.Response:
    """With as much of its body as can be read and is, whatever there is more of it: the status has
    said what became of the batch."""
    found = b""
    try:
        for piece in response.iter_content(_ANSWER):
            found += piece
            if len(found) > _ANSWER:
                break
    except requests.exceptions.RequestException:
        found = b""
    response.close()
    response._content = found
    return response


class _UntrustedError(Exception):
    pass


class _MovedError(Exception):
    """The exporter takes a redirection for success."""


class _Sink:
    """What the three kinds have in common.  ``url``: the base, None where the environment says."""

    noun = ""
    response: type[Any]

    def __init__(self, url: str | None) -> None:
        self._notes = _Notes()
        endpoint = None if url is None else f"{url.rstrip('/')}/{PATHS[self.noun]}"
        self._exporter: Any = self._made(endpoint)
        self.endpoint: str = self._exporter._endpoint

    def _made(self, endpoint: str | None) -> Any:
        raise NotImplementedError

    def _export(self, batch: Sequence[Any]) -> bool:
        raise NotImplementedError

    def send(self, batch: Sequence[Any]) -> Answer:
        self._notes.response = self._notes.error = None
        if self._export(batch):
            return self._rejected(len(batch))
        return why_not(self.endpoint, self.noun, self._notes.response, self._notes.error)

    def _rejected(self, size: int) -> Answer:
        """Of a batch of that size that arrived: whether some of it was not wanted."""
        response = self._notes.response
        if response is None or not response.content:
            return Answer()
        if "protobuf" not in response.headers.get("content-type", ""):
            return Answer()
        try:
            told = self.response.FromString(response.content).partial_success
        except Exception:  # whatever it is, it is behind a 2xx
            return Answer()
        count = sum(value for _, value in told.ListFields() if isinstance(value, int))
        count = min(max(count, 0), size)  # data points are counted, and sets of them sent
        words = cut(" ".join(told.error_message.split())) or "it does not say why"
        why = f"{_collector(self.endpoint)} rejected them ({words})"
        return Answer(why, rejected=count) if count else Answer()

    def stop(self) -> None:
        if not self._exporter._shutdown:
            self._exporter.shutdown()


class SpanSink(_Sink):
    noun, response = "span", ExportTraceServiceResponse

    def __init__(self, url: str | None, resources: Resources) -> None:
        super().__init__(url)
        self._resources = resources

    def _made(self, endpoint: str | None) -> Any:
        return OTLPSpanExporter(endpoint=endpoint, session=self._notes)

    def _export(self, batch: Sequence[Span]) -> bool:
        spans = [_readable(span, self._resources) for span in batch]
        return bool(self._exporter.export(spans).value == 0)


class LogSink(_Sink):
    noun, response = "log record", ExportLogsServiceResponse

    def __init__(self, url: str | None, resources: Resources) -> None:
        super().__init__(url)
        self._resources = resources

    def _made(self, endpoint: str | None) -> Any:
        return OTLPLogExporter(endpoint=endpoint, session=self._notes)

    def _export(self, batch: Sequence[LogLine]) -> bool:
        lines = [_logged(line, self._resources) for line in batch]
        return bool(self._exporter.export(lines).value == 0)


class MetricSink(_Sink):
    """Takes what :func:`snapshot` makes; of cumulative ones the last says all."""

    noun, response = "set of metrics", ExportMetricsServiceResponse

    def __init__(self, url: str | None) -> None:
        super().__init__(url)
        self.delta = deltas()

    def _made(self, endpoint: str | None) -> Any:
        return OTLPMetricExporter(endpoint=endpoint, session=self._notes)

    def _export(self, batch: Sequence[ResourceMetrics]) -> bool:
        sets = list(batch if self.delta else batch[-1:])
        return bool(self._exporter.export(MetricsData(sets)).value == 0)


def sink(noun: str, url: str | None, resources: Resources) -> _Sink:
    """Where things of that name go."""
    if noun == "span":
        return SpanSink(url, resources)
    return LogSink(url, resources) if noun == "log record" else MetricSink(url)


def quiet() -> None:
    """The exporters' own words go nowhere: what they mean is said in ours."""
    logger = logging.getLogger("opentelemetry")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False


def deltas() -> bool:
    """Whether a set of metrics is to say what came since the one before."""
    preferred = os.environ.get("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "")
    return preferred.strip().lower() in ("delta", "lowmemory")


# --- what is sent ---------------------------------------------------------------------------------


def _text(text: str) -> str:
    """As it can be sent, in UTF-8: one name that cannot would keep a whole batch from leaving."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _attributes(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        _text(key): _text(value) if isinstance(value, str) else value
        for key, value in found.items()
    }


def _readable(span: Span, resources: Resources) -> ReadableSpan:
    trace = int(span.trace_id, 16)
    parent = None
    if span.parent_id is not None:
        parent = SpanContext(trace, int(span.parent_id, 16), span.remote, _SAMPLED)
    status = Status(StatusCode.UNSET)
    if span.error is not None:
        status = Status(StatusCode.ERROR, _text(span.error) or None)
    return ReadableSpan(
        name=_text(span.name),
        context=SpanContext(trace, int(span.span_id, 16), False, _SAMPLED),
        parent=parent,
        resource=resources.of(span.service, span.source),
        attributes=_attributes(span.attributes),
        events=[Event(one.name, _attributes(one.attributes), one.time_ns) for one in span.events],
        kind=_KINDS[int(span.kind)],
        status=status,
        start_time=span.start,
        end_time=span.end,
        instrumentation_scope=_SCOPE,
    )


def _logged(line: LogLine, resources: Resources) -> ReadableLogRecord:
    record = LogRecord(
        timestamp=clock_ns(line.time_ns),
        observed_timestamp=time.time_ns(),
        trace_id=int(line.trace_id or "0", 16),
        span_id=int(line.span_id or "0", 16),
        trace_flags=_SAMPLED,
        severity_text=_text(line.severity) or None,
        severity_number=SeverityNumber(line.number),
        body=_text(line.text),
        attributes=_attributes(line.attributes),
    )
    return ReadableLogRecord(record, resources.of(line.service, line.source), _SCOPE)


def snapshot(metrics: Metrics, now_ns: int, resource: Resource, delta: bool) -> ResourceMetrics:
    """All metrics as they are now; the caller resets them if the next is to say what came since."""
    kind = AggregationTemporality.DELTA if delta else AggregationTemporality.CUMULATIVE
    found = []
    for instrument, points in metrics.points():
        data: Any
        if instrument.bounds:
            rows = [
                _bucketed(
                    instrument, _attributes(dict(key)), point, clock_ns(metrics.start_ns), now_ns
                )
                for key, point in points.items()
            ]
            data = Histogram(rows, kind)
        else:
            counts = [
                NumberDataPoint(
                    _attributes(dict(key)), clock_ns(metrics.start_ns), now_ns, point.count
                )
                for key, point in points.items()
            ]
            data = Sum(counts, kind, is_monotonic=True)
        found.append(Metric(instrument.name, instrument.about, instrument.unit, data))
    scope = ScopeMetrics(_SCOPE, found, "")
    return ResourceMetrics(resource, [scope], "")


def _bucketed(
    instrument: Instrument, attributes: Any, point: Point, start_ns: int, now_ns: int
) -> HistogramDataPoint:
    return HistogramDataPoint(
        attributes, start_ns, now_ns, point.count, point.total, tuple(point.counts),
        instrument.bounds, point.least, point.most,
    )  # fmt: skip


# --- what went wrong ------------------------------------------------------------------------------


def _collector(endpoint: str) -> str:
    """By its address, without the password that may be in there."""
    parts = urlsplit(endpoint)
    return f"the collector at {parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def why_not(
    endpoint: str, noun: str, response: requests.Response | None, error: Exception | None
) -> Answer:
    """What is to be said of a batch that did not arrive, and whether to try again."""
    parts, where = urlsplit(endpoint), _collector(endpoint)
    if error is not None:
        return _unreached(where, parts.port, error)
    if response is None:
        return Answer(f"the {many(noun)} could not be encoded")
    status = f"{response.status_code} {response.reason}".strip()
    if response.status_code in _AGAIN:
        return Answer(f"{where} is too busy ({status})", again=True)
    if response.status_code in _NOBODY:
        return Answer(f"{where} takes no {many(noun)} at {parts.path} ({status})", never=True)
    if response.status_code in (401, 403):
        return Answer(f"{where} wants to know who asks ({status}): set OTEL_EXPORTER_OTLP_HEADERS")
    if 300 <= response.status_code < 400:
        place = response.headers.get("location", "elsewhere")
        return Answer(f"{where} redirects to {place} ({status}): name that", never=True)
    return Answer(f"{where} refused them ({status})")


def _unreached(where: str, port: int | None, error: Exception) -> Answer:
    if isinstance(error, requests.exceptions.SSLError):
        return Answer(f"{where} is not trusted: {_tls(error)}", never=True)
    if isinstance(error, requests.exceptions.Timeout):
        return Answer(f"{where} does not answer in time", again=True)
    hint = "; 4317 is the port of gRPC, that of HTTP is 4318" if port == 4317 else ""
    if isinstance(error, requests.exceptions.ConnectionError):
        return Answer(f"{where} cannot be reached: {_reason(error)}{hint}", again=True)
    return Answer(f"{where} cannot be asked: {error}", never=True)


def _tls(error: BaseException) -> str:
    for one in _chain(error):
        if isinstance(one, ssl.SSLCertVerificationError):
            return (
                f"{one.verify_message}; OTEL_EXPORTER_OTLP_CERTIFICATE names a file of the"
                " authorities to trust"
            )
        if isinstance(one, ssl.SSLError):
            return "it speaks no TLS" if "WRONG_VERSION" in str(one) else str(one.reason or one)
    return str(error)


def _reason(error: BaseException) -> str:
    """The words of the system, if it has any."""
    for one in _chain(error):
        if isinstance(one, OSError) and one.strerror and one.errno:
            return str(one.strerror)
    return "it closed the connection" if "Connection aborted" in str(error) else "no connection"


def _chain(error: BaseException) -> list[BaseException]:
    """The error and those behind it: what caused it, and what its arguments and reasons are."""
    found: list[BaseException] = []
    left: list[object] = [error]
    while left and len(found) < 32:
        one = left.pop(0)
        if isinstance(one, BaseException) and one not in found:
            found.append(one)
            left += [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
    return found[::-1]

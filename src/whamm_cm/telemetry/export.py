"""Telemetry of a running trace, or of logs that are read: records go in, and leave over HTTP.

Whoever feeds it never waits for the collector, nor for the work of making spans, which threads of
their own do; if more comes than they manage, records are left out, counted and said.  Only a reader
of files waits, for a file has the time.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import UsageError
from whamm_cm.render.words import counted
from whamm_cm.telemetry.assembler import Assembler
from whamm_cm.telemetry.sending import Limits, Sender, Sink, many
from whamm_cm.trace.semconv import LONGEST
from whamm_cm.trace.spans import Trap

if TYPE_CHECKING:
    from whamm_cm.telemetry.otlp import Resources
    from whamm_cm.trace.records import Record

#: Records that wait for the thread that makes spans of them, at most, and for how many it is woken.
MOST, _WAKE = 1 << 16, 1024
#: What ``--otlp`` takes in the place of a URL: the environment says where to.
ENVIRONMENT = "env"
#: Sets of metrics that wait at most.
_SETS = 8


@dataclass(frozen=True, slots=True)
class Wish:
    """``url`` is that of a collector, or :data:`ENVIRONMENT`; ``service`` the name of what has none
    of its own.  ``patient``: the records are from files.  ``waits``: whoever has more records than
    can be looked at waits, as they do of files in any case."""

    url: str
    service: str = "component"
    patient: bool = False
    waits: bool = False


class Telemetry:
    """``note`` gets sentences while it runs, on threads of its own."""

    def __init__(self, wish: Wish, note: Callable[[str], None]) -> None:
        """Raises UsageError for a URL that is none, and without the exporter."""
        check(wish)
        sinks, self._resources, self._delta = _sinks(wish)
        #: Where spans go, without the path.
        self.where = _where(sinks)
        limits = _limits(wish)
        self._interval = _number("OTEL_METRIC_EXPORT_INTERVAL", 60_000) / 1000
        self._delay, self._waits = limits.delay, wish.patient or wish.waits
        self._sender = Sender(sinks, limits, note)
        self._assembler = Assembler(_longest())
        self._inbox: deque[Record] = deque()
        self._missed = 0
        self._wake, self._room = threading.Event(), threading.Event()
        self._ending = False
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def feed(self, record: Record) -> None:
        """Takes at most the time to leave it; of files, as long as is needed."""
        inbox = self._inbox
        while len(inbox) >= MOST:
            if not self._waits or not self._thread.is_alive():
                self._missed += 1
                return
            self._room.clear()
            self._wake.set()
            self._room.wait(0.1)
        inbox.append(record)
        if len(inbox) == _WAKE:
            self._wake.set()

    def trapped(self, message: str, stack: str) -> None:
        """The guest has trapped: what is open will not return."""
        self._assembler.trap = Trap(message, stack)

    def finish(self) -> list[str]:
        """Sends what is left, as far as the collector takes it.  Returns what is to be said of it:
        nothing, if all was sent.  Raises whatever went wrong on our side."""
        self._ending = True
        self._wake.set()
        self._thread.join()
        self._sender.finish()
        if self._fault is not None:
            raise self._fault
        return [*self._remarks(), *self.lost()]

    def lost(self) -> list[str]:
        """What did not arrive, a sentence for each kind and reason; to be asked when it is over."""
        found = []
        if self._missed:
            found.append(
                f"{counted(self._missed, 'record')} came faster than spans can be made of them, and"
                " are in none"
            )
        for noun, tally in self._sender.tallies.items():
            all_ = tally.sent + sum(tally.lost.values())
            for why, count in tally.lost.items():
                found.append(f"{count} of {all_} {many(noun)} were not sent: {why}")
        return found

    def sent(self) -> str:
        """``12 spans and 1 log record were sent to …``."""
        parts = []
        for noun, tally in self._sender.tallies.items():
            parts.append(f"{tally.sent} {noun if tally.sent == 1 else many(noun)}")
        return f"{', '.join(parts)} sent to {self.where}"

    def _remarks(self) -> list[str]:
        assembler, found = self._assembler, []
        if assembler.untimed:
            found.append(
                f"{counted(assembler.untimed, 'call')} had no times, so there are no spans of them;"
                " instrument with --time"
            )
        if assembler.guessed:
            found.append("the log has no wall clock: times of spans are those of reading it")
        return found

    # --- the thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as fault:  # raised again by finish
            self._fault = fault

    def _work(self) -> None:
        inbox, assembler = self._inbox, self._assembler
        taken_at = measured_at = time.monotonic()
        while True:
            ending = self._ending
            while inbox:
                assembler.feed(inbox.popleft())
                if assembler.due:
                    self._room.set()
                    self._pass(False)
            self._room.set()
            now = time.monotonic()
            if ending and not inbox:
                break
            if now - taken_at >= self._delay:
                taken_at = now
                self._pass(False)
            if now - measured_at >= self._interval:
                measured_at = now
                self._measure()
            self._wake.wait(max(0.0, taken_at + self._delay - time.monotonic()))
            self._wake.clear()
        self._pass(True)
        self._measure()

    def _pass(self, final: bool) -> None:
        taken = self._assembler.take(final)
        self._put("span", taken.spans)
        self._put("log record", taken.lines)

    def _measure(self) -> None:
        metrics = self._assembler.metrics
        if not metrics or "set of metrics" not in self._sender.tallies:
            return
        from whamm_cm.telemetry.otlp import snapshot

        now = time.time_ns()
        resource = self._resources.of("", "")
        self._put("set of metrics", [snapshot(metrics, now, resource, self._delta)])
        if self._delta:
            metrics.reset(now)

    def _put(self, noun: str, items: Sequence[object]) -> None:
        if items and noun in self._sender.tallies:
            self._sender.put(noun, items)


def check(wish: Wish) -> None:
    """Raises UsageError for what cannot be: a URL that is none, numbers of the environment that are
    none, nothing to send, and without the exporter."""
    if wish.url != ENVIRONMENT:
        _checked(wish.url)
    else:
        _named()
    _limits(wish)
    _number("OTEL_METRIC_EXPORT_INTERVAL", 1)
    _longest()
    if not _wanted():
        raise UsageError(
            "--otlp has nothing to send: OTEL_TRACES_EXPORTER, OTEL_LOGS_EXPORTER and"
            " OTEL_METRICS_EXPORTER are all none"
        )
    try:
        found = find_spec("opentelemetry.exporter.otlp.proto.http")
    except (ModuleNotFoundError, ValueError):
        found = None
    if found is None:
        raise UsageError("--otlp needs the OpenTelemetry exporter: pip install 'whamm-cm[otlp]'")


def _limits(wish: Wish) -> Limits:
    return Limits(
        _number("OTEL_BSP_MAX_QUEUE_SIZE", 16384),
        _number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512),
        _number("OTEL_BSP_SCHEDULE_DELAY", 1000) / 1000,
        wish.patient,
        of={"set of metrics": _SETS},
    )


def _wanted() -> list[str]:
    """The kinds of things that are to be sent."""
    variables = {
        "span": "OTEL_TRACES_EXPORTER",
        "log record": "OTEL_LOGS_EXPORTER",
        "set of metrics": "OTEL_METRICS_EXPORTER",
    }
    return [
        noun
        for noun, variable in variables.items()
        if os.environ.get(variable, "").strip().lower() != "none"
    ]


def _sinks(wish: Wish) -> tuple[dict[str, Sink], Resources, bool]:
    from whamm_cm.telemetry import otlp

    url = None if wish.url == ENVIRONMENT else wish.url
    otlp.quiet()
    resources = otlp.Resources(wish.service, str(uuid.uuid4()))
    sinks: dict[str, Sink] = {noun: otlp.sink(noun, url, resources) for noun in _wanted()}
    return sinks, resources, otlp.deltas()


def _checked(url: str) -> None:
    """Raises UsageError for what is not the base of a collector's URLs."""
    if not _is_http(url):
        raise UsageError(
            f"--otlp {url}: expected the URL of a collector, such as http://127.0.0.1:4318, or"
            f" {ENVIRONMENT} for that of OTEL_EXPORTER_OTLP_ENDPOINT"
        )
    parts = urlsplit(url)
    for path in ("/v1/traces", "/v1/logs", "/v1/metrics"):
        if parts.path.rstrip("/").endswith(path):
            raise UsageError(
                f"--otlp {url}: leave out {path}; each kind of telemetry has its own path below"
            )
    if parts.query or parts.fragment:
        raise UsageError(f"--otlp {url}: a query has no place there")


def _named() -> None:
    """Raises UsageError for what is no URL in the environment."""
    for kind in ("", "TRACES_", "LOGS_", "METRICS_"):
        name = f"OTEL_EXPORTER_OTLP_{kind}ENDPOINT"
        url = os.environ.get(name, "")
        if url and not _is_http(url):
            raise UsageError(f"{name}: expected a URL, such as http://127.0.0.1:4318")


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
        return good and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _where(sinks: Mapping[str, Sink]) -> str:
    endpoint: str = getattr(next(iter(sinks.values())), "endpoint", "")
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _number(name: str, default: int) -> int:
    """Of the environment; raises UsageError for what is no number above 0."""
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    if not text.isdigit() or not int(text):
        raise UsageError(f"{name}={text}: expected a number above 0")
    return int(text)


def _longest() -> int:
    for name in ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"):
        if os.environ.get(name, "").strip():
            return _number(name, LONGEST)
    return LONGEST

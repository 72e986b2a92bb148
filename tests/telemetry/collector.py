"""A real OpenTelemetry Collector, which stores what it gets in a file."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.rig import DEADLINE, Program, running
from tests.hosts.tools import find

CONFIG = """\
receivers:
  otlp:
    protocols:
      http:
        endpoint: 127.0.0.1:0
exporters:
  file:
    path: {stored}
    flush_interval: 50ms
service:
  telemetry:
    metrics:
      level: none
  pipelines:
    traces: {{receivers: [otlp], exporters: [file]}}
    metrics: {{receivers: [otlp], exporters: [file]}}
    logs: {{receivers: [otlp], exporters: [file]}}
"""


def program() -> str:
    found = find("otelcol")
    if found is None:
        pytest.skip("otelcol: not installed; `make collector` builds one where there is Go")
    return str(found)


@dataclass
class Collector:
    url: str
    stored: Path
    process: Program

    def _all(self, key: str) -> Iterator[dict[str, Any]]:
        if not self.stored.exists():
            return
        for line in self.stored.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                yield from json.loads(line).get(key, ())

    @property
    def spans(self) -> list[dict[str, Any]]:
        """As OTLP in JSON has them, with ``attributes`` as an object and ``resource`` the same."""
        return [
            {**span, "attributes": plain(span), "resource": plain(of["resource"])}
            for of in self._all("resourceSpans")
            for scope in of["scopeSpans"]
            for span in scope["spans"]
        ]

    @property
    def logs(self) -> list[dict[str, Any]]:
        return [
            {**record, "attributes": plain(record)}
            for of in self._all("resourceLogs")
            for scope in of["scopeLogs"]
            for record in scope["logRecords"]
        ]

    @property
    def metrics(self) -> dict[str, dict[str, Any]]:
        return {
            metric["name"]: metric
            for of in self._all("resourceMetrics")
            for scope in of["scopeMetrics"]
            for metric in scope["metrics"]
        }

    def until(self, true: Callable[[], object]) -> None:
        """It is written a moment after it is taken."""
        end = time.monotonic() + DEADLINE
        while not true():
            assert time.monotonic() < end, self.process.text
            time.sleep(0.02)


def plain(found: dict[str, Any]) -> dict[str, Any]:
    return {one["key"]: next(iter(one["value"].values())) for one in found.get("attributes", ())}


@contextmanager
def collecting(folder: Path) -> Iterator[Collector]:
    stored = folder / "stored.json"
    config = folder / "collector.yaml"
    config.write_text(CONFIG.format(stored=stored))
    with running([program(), "--config", config], folder / "collector.log") as process:
        port = process.port("Starting HTTP server")
        process.expect("Everything is ready")
        yield Collector(f"http://127.0.0.1:{port}", stored, process)

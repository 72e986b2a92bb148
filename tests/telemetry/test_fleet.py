"""Two hosts that a NATS server schedules, each with its log in a pipe, and one collector."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fixtures import build
from tests.hosts.operator import Host, host_command, host_home, nats, request_of
from tests.hosts.rig import DEADLINE, Program, Server, each, tag
from tests.hosts.test_wash import MANIFEST, woven
from tests.hosts.tools import need
from tests.registry.server import registry
from tests.telemetry.collector import Collector, collecting

pytestmark = [pytest.mark.oracle, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
REQUESTS = 100


@contextmanager
def shipping(folder: Path, name: str, url: str, component: Path, collector: str) -> Iterator[Host]:
    """``wash host 2>&1 | whamm-cm report --otlp …``, with a copy of the log in a file."""
    (wash,) = need("wash")
    log = folder / f"{name}.log"
    log.touch()
    report = [sys.executable, "-m", "whamm_cm", "report", "-v", "--otlp", collector]
    report += ["--woven", str(component), "-"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    said = folder / f"{name}.said"
    with (
        said.open("wb") as errors,
        subprocess.Popen(
            host_command(url, wash, "--host-name", name),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, **host_home(folder)},
        ) as host,
        subprocess.Popen(["tee", str(log)], stdin=host.stdout, stdout=subprocess.PIPE) as tee,
        subprocess.Popen(report, stdin=tee.stdout, stderr=errors, env=environment) as reader,
    ):  # fmt: skip
        try:
            program = Program(host, log)
            yield Host(program, program.port("HTTP server listening.*addr="), url, name)
            program.stop(signal.SIGINT)
            assert reader.wait(DEADLINE) == 0, said.read_text()
        finally:
            for process in (host, tee, reader):
                process.kill()


def test_hosts_ship_their_logs(tmp_path: Path) -> None:
    need("wash", "nats-server")
    component = tmp_path / "w.wasm"
    image = woven(component, build.path_of("http_echo"))
    with (
        collecting(tmp_path) as collector,
        registry({"woven:1": image}) as address,
        nats(tmp_path) as url,
        shipping(tmp_path, "one", url, component, collector.url) as one,
        shipping(tmp_path, "two", url, component, collector.url) as two,
    ):
        for host in (one, two):
            workload = request_of(MANIFEST, {"echo": f"{address}/woven:1"})
            assert host.start(workload)[1] == ""
        servers = [Server(host.port, "echo.test") for host in (one, two)]
        answers = each(REQUESTS, lambda n: servers[n % 2].post(tag(n)) == (200, tag(n)), 8)
        assert answers == [True] * REQUESTS
    check(collector, tmp_path)


def check(collector: Collector, folder: Path) -> None:
    """Each request once, whole, and from the host that it was asked of."""
    said = "".join((folder / f"{name}.said").read_text() for name in ("one", "two"))
    assert "not sent" not in said and " lost" not in said, said
    roots = [span for span in collector.spans if span["kind"] == 2]
    assert len(roots) == len({span["traceId"] for span in roots}) == REQUESTS
    by_host: dict[str, int] = {}
    for span in roots:
        of = span["resource"]["service.instance.id"]
        by_host[of] = by_host.get(of, 0) + 1
        assert span["attributes"]["faas.trigger"] == "http"
        assert span["attributes"]["http.response.status_code"] == "200"
    assert sorted(by_host.values()) == [REQUESTS // 2] * 2
    ids = {span["spanId"]: span for span in collector.spans}
    assert len(ids) == len(collector.spans)
    below = [span for span in collector.spans if span["kind"] != 2]
    assert len(below) >= 14 * REQUESTS
    for span in below:
        assert ids[span["parentSpanId"]]["traceId"] == span["traceId"]

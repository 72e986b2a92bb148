"""``wash dev`` and ``wash host``: woven components answer, and their records are all in the log."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from fixtures import build
from tests.hosts import reading
from tests.hosts.operator import request_of, wash_host
from tests.hosts.rig import Server, each, in_step, tag
from tests.hosts.starting import wash_dev
from tests.registry.server import registry
from whamm_cm.cli.main import main

MANIFEST = """
spec:
  components:
    - {name: echo, image: echo}
  hostInterfaces:
    - {namespace: wasi, package: http, interfaces: [incoming-handler], config: {host: echo.test}}
"""


def woven(target: Path, app: Path) -> bytes:
    assert main(["instrument", "--trace", "*", "--time", "-o", str(target), str(app)]) == 0
    return target.read_bytes()


def records(log: Path, app: Path, capsys: pytest.CaptureFixture[str]) -> list[reading.Record]:
    """What ``report`` finds in the log of a host that ran ``app``."""
    capsys.readouterr()
    assert main(["report", "-f", "jsonl", "--woven", str(app), str(log)]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def check(found: list[reading.Record], requests: int) -> None:
    """A run for each request, whole, in order, and with nobody else's data."""
    runs = reading.runs(found)
    assert reading.mixed(found) == []
    assert len(runs) == requests
    assert [fault for run in runs.values() for fault in reading.unpaired(run)] == []


def test_wash_dev_answers_everybody(
    echo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    woven(tmp_path / "app.wasm", echo)
    with wash_dev(tmp_path, tmp_path / "app.wasm") as (server, program):
        program.expect("listening for HTTP requests")
        assert in_step(server, 16, 4) == {"200 echo": 16}
        assert (
            each(100, lambda n: server.post(tag(n + 16)) == (200, tag(n + 16)), 32) == [True] * 100
        )
        program.stop()
    found = records(program.log, tmp_path / "app.wasm", capsys)
    check(found, 116)
    assert {number for record in found for number in reading.tags(record)} == {
        f"{number:04}" for number in range(116)
    }


def test_wash_dev_is_traced_live(echo: Path, tmp_path: Path) -> None:
    """Woven where its configuration names it; the file is as it was afterwards."""
    log, app = tmp_path / "log.jsonl", tmp_path / "app.wasm"
    shutil.copy(echo, app)
    trace = ("--flush", "live", "-f", "jsonl", "-o", str(log))
    with wash_dev(tmp_path, app, trace=trace) as (server, program):
        program.expect("listening for HTTP requests")
        assert in_step(server, 16, 8) == {"200 echo": 16}
        assert app.read_bytes() != echo.read_bytes()
        program.stop()
    assert app.read_bytes() == echo.read_bytes()
    check(reading.load(log), 16)


@pytest.mark.parametrize("wash", ["wash", "wash-2.7"])
def test_wash_host_answers_everybody(
    wash: str, echo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = {"original:1": build.build("http_echo"), "woven:1": woven(tmp_path / "w.wasm", echo)}
    with registry(images) as address, wash_host(tmp_path, wash) as host:
        for name in images:
            workload = request_of(MANIFEST, {"echo": f"{address}/{name}"})
            started, fault = host.start(workload)
            assert fault == ""
            server = Server(host.port, "echo.test")
            assert in_step(server, 16, 4) == {"200 echo": 16}
            answers = each(100, lambda n, to=server: to.post(tag(n)) == (200, tag(n)), 32)
            assert answers == [True] * 100
            host.stop(started)
    found = records(tmp_path / "host.log", tmp_path / "w.wasm", capsys)
    check(found, 116)

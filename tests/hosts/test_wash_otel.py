"""``--sink otel`` on a wash: spans of the guest stand below the host's own, in one collector."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hosts.operator import request_of, wash_host
from tests.hosts.rig import Server
from tests.hosts.starting import wash_dev
from tests.registry.server import registry
from tests.telemetry.receiver import Receiver, receiving
from whamm_cm.cli.main import main

HANDLE = "wasi:http/incoming-handler#handle"
READ = "wasi:io/streams#input-stream.blocking-read"
#: What wash calls the span in which it calls a component.
OUTER = "invoke_component_handler"
MANIFEST = """
spec:
  components:
    - {name: echo, image: echo}
  hostInterfaces:
    - {namespace: wasi, package: http, interfaces: [incoming-handler], config: {host: echo.test}}
    - {namespace: wasi, package: otel, version: 0.2.0-rc.2, interfaces: [tracing, logs]}
"""


def woven(target: Path, app: Path) -> bytes:
    assert main(["instrument", "--sink", "otel", "--trace", "*", "-o", str(target), str(app)]) == 0
    return target.read_bytes()


def env(found: Receiver) -> dict[str, str]:
    """Where to, and that what is there leaves soon."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": found.url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }


def check(found: Receiver, requests: int) -> None:
    """Each request is a tree: host, handler, what that calls."""
    found.until(lambda: {HANDLE, READ, OUTER} <= {span["name"] for span in found.spans})
    spans = found.spans
    by_id = {span["id"]: span for span in spans}
    handled = [span for span in spans if span["name"] == HANDLE]
    assert len(handled) == requests
    for span in handled:
        outer = by_id[span["parent"]]
        assert (outer["name"], outer["trace"]) == (OUTER, span["trace"])
        assert outer["start"] <= span["start"] <= span["end"] and span["kind"] == 2
        inner = [each for each in spans if each["parent"] == span["id"]]
        assert READ in {each["name"] for each in inner} and len(inner) > 10
        assert {each["trace"] for each in inner} == {span["trace"]}
        assert all(span["start"] <= each["start"] <= each["end"] <= span["end"] for each in inner)
        assert {each["kind"] for each in inner} == {1}
        assert {each["status"] for each in inner} == {(0, "")}
        assert inner[0]["attributes"]["whamm_cm.interface"] == '"wasi:http/types"'


def test_wash_dev_exports_the_guests_spans(echo: Path, tmp_path: Path) -> None:
    woven(tmp_path / "app.wasm", echo)
    with (
        receiving() as found,
        wash_dev(tmp_path, tmp_path / "app.wasm", dev=", wasi_otel: true", env=env(found)) as (
            server,
            program,
        ),
    ):
        program.expect("listening for HTTP requests")
        assert [server.post(b"hello") for _ in range(3)] == [(200, b"hello")] * 3
        program.stop()
        check(found, 3)


@pytest.mark.parametrize("flag", [("--wasi-otel",), ()], ids=["with", "without"])
def test_wash_host_has_it_when_told(
    flag: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, echo: Path
) -> None:
    """Without the option the host says that it has no such interface."""
    images = {"woven:1": woven(tmp_path / "w.wasm", echo)}
    with receiving() as found:
        for name, value in env(found).items():
            monkeypatch.setenv(name, value)
        with registry(images) as address, wash_host(tmp_path, "wash", *flag) as host:
            _, fault = host.start(request_of(MANIFEST, {"echo": f"{address}/woven:1"}))
            if not flag:
                assert "otel" in fault
                return
            assert fault == ""
            assert Server(host.port, "echo.test").post(b"hello") == (200, b"hello")
            check(found, 1)

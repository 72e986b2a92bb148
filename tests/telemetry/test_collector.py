"""What a real collector has stored: names, parents, attributes."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fixtures.build import path_of
from tests.cli.test_http import serving
from tests.run.host.rig import echo, post
from tests.telemetry.collector import Collector, collecting
from whamm_cm.cli.main import main

pytestmark = pytest.mark.oracle
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ERROR = 2


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    with collecting(tmp_path) as found:
        yield found


def test_requests_of_a_server(collector: Collector, tmp_path: Path) -> None:
    app = tmp_path / "echo.wasm"
    app.write_bytes(echo())
    head = f"traceparent: 00-{TRACE}-{PARENT}-01"
    with serving("-v", "--otlp", collector.url, str(app)) as server:
        server.ask(post(b"hello", head).replace(b"POST /", b"POST /a/7?token=abcdef", 1))
        assert server.end() == 0
    assert "not sent" not in server.said
    collector.until(lambda: len(collector.spans) >= 15 and collector.metrics)
    (root,) = (span for span in collector.spans if span["kind"] == 2)
    assert (root["name"], root["traceId"], root["parentSpanId"]) == ("POST /a/{n}", TRACE, PARENT)
    assert (
        root["attributes"]
        | {
            "http.request.method": "POST",
            "http.route": "/a/{n}",
            "http.response.status_code": "200",
            "url.path": "/a/7",
            "url.query": "token=REDACTED",
            "url.scheme": "http",
            "client.address": "127.0.0.1",
            "faas.trigger": "http",
            "code.function.name": "wasi:http/incoming-handler#handle",
        }
        == root["attributes"]
    )
    assert root["resource"]["service.name"] == "echo"
    below = [span for span in collector.spans if span is not root and span["kind"] == 1]
    assert {span["parentSpanId"] for span in below if span["kind"] == 1} == {root["spanId"]}
    assert {span["traceId"] for span in collector.spans} == {TRACE}
    assert {"wasi:http/types#response-outparam.set"} < {span["name"] for span in below}
    served = collector.metrics["http.server.request.duration"]
    (point,) = served["histogram"]["dataPoints"]
    assert (served["unit"], point["count"]) == ("s", "1")


def test_a_trap(collector: Collector, tmp_path: Path) -> None:
    app = tmp_path / "echo.wasm"
    app.write_bytes(echo())
    status = main(["trace", "--otlp", collector.url, "--request", "POST /x", "-d", "!", str(app)])
    assert status == 134
    collector.until(lambda: any(span["kind"] == 2 for span in collector.spans))
    (root,) = (span for span in collector.spans if span["kind"] == 2)
    assert root["status"]["code"] == ERROR and "unreachable" in root["status"]["message"]
    (event,) = root["events"]
    assert event["name"] == "exception"
    about = {one["key"]: one["value"]["stringValue"] for one in event["attributes"]}
    assert about["exception.type"] == "trap" and "unreachable" in about["exception.message"]


def test_a_slow_peer(collector: Collector, tmp_path: Path) -> None:
    """The exchange lasts until the answer is there, not as long as the call that asks."""
    ask = tmp_path / "ask.wasm"
    ask.write_bytes(path_of("http_ask").read_bytes())
    wait = threading.Event()

    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wait.wait(0.2)
            self.send_response(503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        port = server.server_address[1]
        words = ["--otlp", collector.url, "--request", f"GET /127.0.0.1:{port}", str(ask)]
        assert main(["trace", *words]) == 0
        server.shutdown()
    collector.until(lambda: any(span["kind"] == 3 for span in collector.spans))
    (span,) = (span for span in collector.spans if span["kind"] == 3)
    (root,) = (span for span in collector.spans if span["kind"] == 2)
    (call,) = (s for s in collector.spans if s["name"] == "wasi:http/outgoing-handler#handle")
    assert (span["name"], span["parentSpanId"]) == ("GET", root["spanId"])
    assert (
        span["attributes"]
        | {
            "http.request.method": "GET",
            "url.full": f"http://127.0.0.1:{port}/",
            "server.address": "127.0.0.1",
            "server.port": str(port),
            "http.response.status_code": "503",
            "error.type": "503",
        }
        == span["attributes"]
    )
    assert span["status"] == {"code": ERROR}
    lasted = {s["name"]: int(s["endTimeUnixNano"]) - int(s["startTimeUnixNano"])
              for s in (span, root, call)}  # fmt: skip
    assert lasted[root["name"]] > lasted["GET"] > lasted[call["name"]]


@pytest.mark.parametrize("name, call", [("resources", "read()"), ("async", "after-yield()")])
def test_a_composed_component(collector: Collector, tmp_path: Path, name: str, call: str) -> None:
    """The collector has what a file of the same spans has: names, parents, times, attributes."""
    log, component = tmp_path / "run.jsonl", tmp_path / f"{name}.wasm"
    component.write_bytes(path_of(name).read_bytes())
    words = ["--otlp", collector.url, "-o", str(log), "--invoke", call, str(component)]
    assert main(["trace", *words]) == 0
    written = tmp_path / "run.otlp.json"
    assert main(["report", "-o", str(written), str(log)]) == 0
    (of,) = json.loads(written.read_text())["resourceSpans"]
    expected = {span["spanId"]: span for span in of["scopeSpans"][0]["spans"]}
    collector.until(lambda: len(collector.spans) >= len(expected))
    found = {span["spanId"]: span for span in collector.spans}
    assert set(found) == set(expected)
    for number, span in expected.items():
        for key in ("name", "traceId", "kind", "startTimeUnixNano", "endTimeUnixNano"):
            assert found[number][key] == span[key]
        assert found[number].get("parentSpanId", "") == span.get("parentSpanId", "")
        attributes = {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}
        assert found[number]["attributes"] == attributes
    assert any(span.get("parentSpanId") for span in found.values())


def test_a_file_is_taken_as_it_is(collector: Collector, tmp_path: Path) -> None:
    """What ``-f otlp`` writes, posted by anybody."""
    component = Path(__file__).parents[2] / "fixtures" / "c_command" / "command.wasm"
    written = tmp_path / "run.otlp.json"
    assert main(["trace", "-o", str(written), str(component)]) == 0
    request = urllib.request.Request(
        f"{collector.url}/v1/traces", written.read_bytes(), {"content-type": "application/json"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as response:
        assert response.status == 200
    collector.until(lambda: collector.spans)
    (of,) = json.loads(written.read_text())["resourceSpans"]
    expected = {s["spanId"]: s for s in of["scopeSpans"][0]["spans"]}
    assert {s["spanId"]: s["name"] for s in collector.spans} == {
        number: span["name"] for number, span in expected.items()
    }
    (root,) = (span for span in collector.spans if span["kind"] == 2)
    assert {s["parentSpanId"] for s in collector.spans if s is not root and s["kind"] != 2} == {
        root["spanId"]
    }


def test_lines_of_logs(collector: Collector, tmp_path: Path) -> None:
    component = Path(__file__).parents[2] / "fixtures" / "c_command" / "command.wasm"
    assert main(["trace", "--otlp", collector.url, str(component)]) == 0
    collector.until(lambda: len(collector.logs) >= 4)
    (root,) = (span for span in collector.spans if span["kind"] == 2)
    for line in collector.logs:
        assert (line["traceId"], line["spanId"]) == (root["traceId"], root["spanId"])
        assert line["attributes"] == {"log.iostream": "stdout"}
    assert collector.logs[0]["body"] == {"stringValue": "greeting: hello"}

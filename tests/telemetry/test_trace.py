"""``trace --otlp``: requests leave as they end, and no collector stops a guest, nor slows it."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest

from fixtures.build import path_of
from tests.cli.test_http import serving
from tests.hosts.tools import need
from tests.run.host.rig import echo, post
from tests.telemetry.receiver import Receiver, Reply
from whamm_cm.cli.main import main

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def app(tmp_path: Path) -> str:
    path = tmp_path / "echo.wasm"
    path.write_bytes(echo())
    return str(path)


def test_a_request_leaves_when_it_is_over(
    receiver: Receiver, app: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next is only asked when its spans have arrived."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    with serving("-v", "--otlp", receiver.url, app) as server:
        for number in range(3):
            head = f"traceparent: 00-{TRACE}-{number + 1:016x}-01"
            request = post(b"hello", head).replace(b"POST /", b"POST /a/%d" % number, 1)
            server.ask(request)
            receiver.until(lambda n=number: len(served(receiver)) == n + 1)
        assert server.end() == 0
    assert "3 requests served" in server.said
    spans = served(receiver)
    assert {span["trace"] for span in spans} == {TRACE}
    assert sorted(span["parent"] for span in spans) == [f"{n:016x}" for n in (1, 2, 3)]
    for span in spans:
        assert span["name"] == "POST /a/{n}" and span["status"] == (0, "")
        assert span["attributes"]["client.address"] == "127.0.0.1"
        assert span["attributes"]["network.peer.port"] > 0
        assert span["resource"]["service.name"] == "echo"
        below = [one for one in receiver.spans if one["parent"] == span["id"]]
        assert len(below) > 8
        for one in below:
            assert span["start"] <= one["start"] <= one["end"] <= span["end"]


def served(receiver: Receiver) -> list[dict[str, object]]:
    return [span for span in receiver.spans if span["kind"] == 2]


def test_a_trap_is_an_exception(receiver: Receiver, app: str) -> None:
    status = main(["trace", "--otlp", receiver.url, "--request", "POST /x", "-d", "!", app])
    assert status == 134
    (span,) = served(receiver)
    ((name, about),) = span["events"]
    assert (name, about["exception.type"]) == ("exception", "trap")
    assert "unreachable" in about["exception.message"]
    assert span["status"] == (2, about["exception.message"])
    assert span["attributes"]["error.type"] == "trap"


def test_a_trap_of_a_command(receiver: Receiver, tmp_path: Path) -> None:
    command = ["trace", "--otlp", receiver.url, "--invoke", "unreachable()", str(path_of("trap"))]
    assert main(command) == 134
    (span,) = served(receiver)
    ((_, about),) = span["events"]
    assert "unreachable" in about["exception.message"] and "0x" in about["exception.stacktrace"]


@pytest.mark.parametrize("name, call", [("resources", "read()"), ("async", "after-yield()")])
def test_calls_of_components_inside_have_their_callers(
    receiver: Receiver, tmp_path: Path, name: str, call: str
) -> None:
    """The same parents as a file of the whole log has, which is known at once."""
    log = tmp_path / "run.jsonl"
    component = tmp_path / f"{name}.wasm"
    component.write_bytes(path_of(name).read_bytes())
    words = ["trace", "--otlp", receiver.url, "-o", str(log), "--invoke", call, str(component)]
    assert main(words) == 0
    written = tmp_path / "run.otlp.json"
    assert main(["report", "-o", str(written), str(log)]) == 0
    (of,) = json.loads(written.read_text())["resourceSpans"]
    expected = {
        span["spanId"]: (span["name"], span.get("parentSpanId", ""), span["traceId"])
        for span in of["scopeSpans"][0]["spans"]
    }
    found = {span["id"]: (span["name"], span["parent"], span["trace"]) for span in receiver.spans}
    assert found == expected
    assert any(parent for _, parent, _ in found.values())


def test_nobody_waits_for_a_collector_that_does_not_answer(
    receiver: Receiver, app: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer comes when all requests are served."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "20")
    done = threading.Event()
    receiver.replies.append(Reply(waits=done))
    with serving("--otlp", receiver.url, app) as server:
        server.ask(post(b"hello"))
        receiver.until(lambda: receiver.asked)
        for _ in range(10):
            assert b"200 OK" in server.ask(post(b"hello"))
        done.set()
        assert server.end() == 0
    assert " spans were not sent: there were more than could be sent in time" in server.said
    assert "11 requests served" in server.said


def test_nobody_waits_for_a_collector_that_is_down(
    app: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        with serving("--otlp", url, app) as server:
            for _ in range(3):
                assert b"200 OK" in server.ask(post(b"hello"))
            assert server.end() == 0
    assert "cannot be reached: Connection refused" in server.said
    assert "spans were not sent" in server.said


def test_it_is_sent_when_the_collector_comes_back(
    receiver: Receiver, app: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    receiver.replies.extend(Reply(503) for _ in range(2))
    with serving("--otlp", receiver.url, app) as server:
        server.ask(post(b"hello"))
        receiver.until(lambda: served(receiver))
        assert server.end() == 0
    assert "is too busy (503 Service Unavailable); it is tried again" in server.said
    assert "the collector takes telemetry again" in server.said
    assert "not sent" not in server.said


def test_requests_may_be_all_that_is_sent(receiver: Receiver, app: str) -> None:
    """A span for each, though no call is recorded: the host knows of them."""
    for _ in range(2):
        with serving("--otlp", receiver.url, "-e", "trace=none", app) as server:
            server.ask(post(b"hello"))
            server.ask(post(b"hello", f"traceparent: 00-{TRACE}-{PARENT}-01"))
            assert server.end() == 0
    spans = receiver.spans
    assert [span["name"] for span in spans] == ["POST /"] * 4
    assert {span["kind"] for span in spans} == {2}
    assert [span["trace"] == TRACE for span in spans] == [False, True] * 2
    assert [span["parent"] for span in spans] == ["", PARENT] * 2
    assert len({span["trace"] for span in spans}) == 3  # two runs have nothing in common
    assert len({span["id"] for span in spans}) == 4
    for span in spans:
        assert span["attributes"]["http.response.status_code"] == 200
        assert span["end"] > span["start"] > 10**18
    assert list(receiver.metrics) == ["http.server.request.duration"]


def test_what_was_traced_outlives_a_trace_that_is_killed(receiver: Receiver, app: str) -> None:
    with serving("--otlp", receiver.url, app) as server:
        server.ask(post(b"hello"))
        receiver.until(lambda: served(receiver))
        server.process.kill()
        server.process.wait(60)
    # Metrics only leave at the end, which the other process has come to.
    receiver.until(lambda: "http.server.request.duration" in receiver.metrics)


@pytest.mark.oracle
def test_under_another_host(receiver: Receiver) -> None:
    (wasmtime,) = need("wasmtime")
    component = Path(__file__).parents[2] / "fixtures" / "c_command" / "command.wasm"
    words = ["trace", "--otlp", receiver.url, "--", wasmtime, "run", str(component)]
    assert main(words) == 0
    (root,) = served(receiver)
    assert root["name"] == "wasi:cli/run#run" and len(receiver.spans) == 16
    assert root["resource"]["service.name"] == "command"


def test_the_log_is_shown_too_when_it_is_asked_for(
    receiver: Receiver, app: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ["--request", "POST /x", "-d", "hi", app]
    assert main(["trace", "--otlp", receiver.url, "-f", "strace", *ask]) == 0
    assert "incoming-request#1.consume()" in capsys.readouterr().err
    assert main(["trace", "--otlp", receiver.url, *ask]) == 0
    assert capsys.readouterr().err == ""
    assert len(served(receiver)) == 2


def test_what_is_only_counted_is_a_metric(receiver: Receiver, app: str) -> None:
    ask = ["--request", "POST /x", "-d", "hi", app]
    assert main(["trace", "--otlp", receiver.url, "--count", "%http", *ask]) == 0
    calls = receiver.metrics["whamm_cm.calls"].sum
    names = {point.attributes[0].value.string_value for point in calls.data_points}
    assert "wasi:http/types#response-outparam.set" in names


@pytest.fixture
def asks(tmp_path: Path) -> str:
    """The handler of ``fixtures/wat/http_ask.wat``."""
    path = tmp_path / "ask.wasm"
    path.write_bytes(path_of("http_ask").read_bytes())
    return str(path)


def test_the_trace_goes_on_in_whom_the_guest_asks(receiver: Receiver, app: str, asks: str) -> None:
    """Two of us: the span of the one that asks is the parent of the one that answers."""
    with (
        serving("--otlp", receiver.url, app) as back,
        serving("--otlp", receiver.url, "--propagate", asks) as front,
    ):
        where = f"{back.address[0]}:{back.address[1]}"
        head = f"GET /{where} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        for more in (f"traceparent: 00-{TRACE}-{PARENT}-01\r\n", ""):
            assert b"200 OK" in front.ask(f"{head}{more}\r\n".encode())
        assert (front.end(), back.end()) == (0, 0)
    asked = [span for span in receiver.spans if span["kind"] == 3]
    assert [span["name"] for span in asked] == ["GET", "GET"]
    assert [span["attributes"]["url.full"] for span in asked] == [f"http://{where}/"] * 2
    roots = {span["id"]: span for span in served(receiver)}
    for span in asked:
        (answered,) = (one for one in roots.values() if one["parent"] == span["id"])
        assert answered["resource"]["service.name"] == "echo"
        assert answered["trace"] == span["trace"] == roots[span["parent"]]["trace"]
        assert roots[span["parent"]]["resource"]["service.name"] == "ask"
        assert span["start"] <= span["end"]
    assert asked[0]["trace"] == TRACE != asked[1]["trace"]
    assert roots[asked[0]["parent"]]["parent"] == PARENT


def test_nothing_is_passed_on_unless_it_is_asked_for(
    receiver: Receiver, app: str, asks: str
) -> None:
    with (
        serving("--otlp", receiver.url, app) as back,
        serving("--otlp", receiver.url, asks) as front,
    ):
        where = f"{back.address[0]}:{back.address[1]}"
        front.ask(f"GET /{where} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        assert (front.end(), back.end()) == (0, 0)
    assert [span["parent"] for span in served(receiver)] == ["", ""]

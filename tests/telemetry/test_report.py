"""``report --otlp``: what arrives, and what is said where it does not."""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.telemetry.conftest import WALL, Writer
from tests.telemetry.receiver import Receiver, Reply, attributes, partial, receiving
from whamm_cm.cli.main import main

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def log(tmp_path: Path) -> str:
    writer = Writer()
    writer.request("/users/17?token=s3cret", 200, f"00-{TRACE}-{PARENT}-01")
    writer.request("/fail", 503)
    return str(writer.write(tmp_path / "a.jsonl"))


def test_spans_arrive_as_they_are(receiver: Receiver, log: str) -> None:
    assert main(["report", "--otlp", receiver.url, log]) == 0
    one, two = (span for span in receiver.spans if span["kind"] == 2)
    assert (one["name"], one["trace"], one["parent"]) == ("GET /users/{n}", TRACE, PARENT)
    assert one["flags"] & 0x300 == 0x300  # the parent is somebody else's
    assert (
        one["attributes"]
        | {
            "http.request.method": "GET",
            "http.route": "/users/{n}",
            "http.response.status_code": 200,
            "url.path": "/users/17",
            "url.query": "token=REDACTED",
            "url.scheme": "http",
            "faas.trigger": "http",
            "faas.invocation_id": "0123456789abcdef/1",
            "code.function.name": "wasi:http/incoming-handler#handle",
        }
        == one["attributes"]
    )
    assert one["status"] == (0, "") and one["start"] == WALL + 1000
    assert (two["name"], two["status"], two["parent"]) == ("GET /fail", (2, ""), "")
    assert two["attributes"]["error.type"] == "503" and two["trace"] != TRACE
    inner = [span for span in receiver.spans if span["kind"] != 2]
    assert {span["parent"] for span in inner} == {one["id"], two["id"]}
    assert len({span["id"] for span in receiver.spans}) == len(receiver.spans) == 14
    assert one["resource"]["service.name"] == "component"
    assert one["resource"]["telemetry.distro.name"] == "whamm-cm"


def test_a_file_of_spans_has_the_same(receiver: Receiver, log: str, tmp_path: Path) -> None:
    """One model for both."""
    assert main(["report", "--otlp", receiver.url, "-o", str(tmp_path / "a.otlp.json"), log]) == 0
    (of,) = json.loads((tmp_path / "a.otlp.json").read_text())["resourceSpans"]
    written = of["scopeSpans"][0]["spans"]
    assert {span["spanId"]: (span["traceId"], span["name"]) for span in written} == {
        span["id"]: (span["trace"], span["name"]) for span in receiver.spans
    }
    for span in written:
        (sent,) = (one for one in receiver.spans if one["id"] == span["spanId"])
        assert {one["key"] for one in span["attributes"]} == set(sent["attributes"])
        assert int(span["startTimeUnixNano"]) == sent["start"]


def test_metrics_arrive(receiver: Receiver, log: str) -> None:
    assert main(["report", "--otlp", receiver.url, log]) == 0
    served = receiver.metrics["http.server.request.duration"].histogram
    rows = [(attributes(point.attributes), point.count) for point in served.data_points]
    both = [
        (
            {
                "http.request.method": "GET",
                "http.response.status_code": 200,
                "url.scheme": "http",
                "http.route": "/users/{n}",
            },
            1,
        ),
        (
            {
                "http.request.method": "GET",
                "http.response.status_code": 503,
                "url.scheme": "http",
                "http.route": "/fail",
                "error.type": "503",
            },
            1,
        ),
    ]
    assert rows in (both, both[::-1])
    assert [*served.data_points[0].explicit_bounds][:2] == [0.005, 0.01]
    calls = receiver.metrics["whamm_cm.calls"].sum
    assert sum(point.as_int for point in calls.data_points) == 14 and calls.is_monotonic
    assert receiver.metrics["whamm_cm.call.duration"].unit == "s"


def test_log_lines_arrive_with_their_spans(receiver: Receiver, tmp_path: Path) -> None:
    def contents(text: str) -> dict[str, object]:
        return {"contents": {"~b64": base64.b64encode(text.encode()).decode()}}

    writer = Writer()
    writer.instance = 1
    root = writer.begin("export", "wasi:cli/run", "run")
    writer.one("import", "wasi:cli/stderr", "get-stderr", 5)
    for piece in ("one ", "line\nand", " another\n", "no end"):
        writer.one("import", "wasi:io/streams", "output-stream.write", {"ok": None}, self=5,
                   args=contents(piece))  # fmt: skip
    said = {"level": "error", "context": "db", "message": "gone"}
    writer.one("import", "wasi:logging/logging", "log", args=said)
    writer.add("print", instance=1, text="3 calls", script="count.mm")
    writer.end(root)
    assert main(["report", "--otlp", receiver.url, str(writer.write(tmp_path / "l.jsonl"))]) == 0
    lines = {line["body"]: line for line in receiver.logs}
    assert set(lines) == {"one line", "and another", "no end", "gone", "3 calls"}
    (run,) = (span for span in receiver.spans if span["name"] == "wasi:cli/run#run")
    assert {line["span"] for line in lines.values()} == {run["id"]}
    assert {line["trace"] for line in lines.values()} == {run["trace"]}
    assert lines["one line"]["attributes"] == {"log.iostream": "stderr"}
    assert lines["gone"]["severity"] == (17, "ERROR")
    assert lines["gone"]["attributes"]["whamm_cm.context"] == "db"
    assert lines["3 calls"]["attributes"]["whamm_cm.script"] == "count.mm"
    (first, *_) = (r for r in writer.records if r.get("func") == "output-stream.write")
    assert lines["one line"]["time"] == first["t_ns"] + WALL - writer.records[0]["t_ns"]


def test_a_log_without_times_has_no_spans(
    receiver: Receiver, log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [json.loads(line) for line in Path(log).read_text().splitlines()]
    for record in records:
        for key in ("t_ns", "dur_ns"):
            record.pop(key, None)
    path = tmp_path / "u.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert main(["report", "--otlp", receiver.url, str(path)]) == 0
    assert receiver.spans == [] and "whamm_cm.calls" in receiver.metrics
    assert "14 calls had no times, so there are no spans of them; instrument with --time" in (
        capsys.readouterr().err
    )


# --- the environment ------------------------------------------------------------------------------


def test_what_users_of_opentelemetry_expect(
    receiver: Receiver, log: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc,x-tenant=7")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4")
    assert main(["report", "--otlp", "env", log]) == 0
    assert receiver.headers[0]["authorization"] == "Bearer abc"
    assert receiver.headers[0]["x-tenant"] == "7"
    assert receiver.headers[0]["content-encoding"] == "gzip"
    span = receiver.spans[0]
    assert span["resource"]["service.name"] == "shop"
    assert span["resource"]["deployment.environment.name"] == "test"
    assert span["attributes"]["url.path"] == "/use"
    assert receiver.metrics == {}


def test_metrics_may_be_deltas(
    receiver: Receiver, log: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")
    assert main(["report", "--otlp", receiver.url, log]) == 0
    assert receiver.metrics["whamm_cm.calls"].sum.aggregation_temporality == 1


@pytest.mark.parametrize(
    "name, text",
    [("OTEL_BSP_MAX_QUEUE_SIZE", "many"), ("OTEL_METRIC_EXPORT_INTERVAL", "0")],
)
def test_numbers_that_are_none(
    log: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    name: str, text: str,
) -> None:  # fmt: skip
    monkeypatch.setenv(name, text)
    assert main(["report", "--otlp", "http://127.0.0.1:1", log]) == 2
    assert f"{name}={text}: expected a number above 0" in capsys.readouterr().err


# --- bad days -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url, said",
    [
        ("collector:4318", "expected the URL of a collector, such as http://127.0.0.1:4318"),
        ("http://", "expected the URL"),
        ("http://a:b", "expected the URL"),
        ("ftp://a", "expected the URL"),
        ("http://a:4318/v1/traces", "leave out /v1/traces"),
        ("http://a:4318?x=1", "a query has no place there"),
    ],
)
def test_urls_that_are_none(
    log: str, capsys: pytest.CaptureFixture[str], url: str, said: str
) -> None:
    assert main(["report", "--otlp", url, log]) == 2
    assert said in capsys.readouterr().err


def failing(log: str, url: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What is said when it ends with 2."""
    assert main(["report", "--otlp", url, log]) == 2
    return capsys.readouterr().err.splitlines()


def test_a_collector_that_is_down(
    log: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        said = failing(log, url, capsys)
    why = f"the collector at {url} cannot be reached: Connection refused"
    assert said[0] == f"whamm-cm: {why}; it is tried again"
    assert f"whamm-cm: 14 of 14 spans were not sent: {why}" in said[1:]
    assert len(said) == 3  # and the metrics


@pytest.mark.parametrize(
    "status, said",
    [
        (400, "refused them (400 Bad Request)"),
        (401, "wants to know who asks (401 Unauthorized): set OTEL_EXPORTER_OTLP_HEADERS"),
        (404, "takes no spans at /v1/traces (404 Not Found)"),
        (413, "refused them (413 "),
        (500, "refused them (500 Internal Server Error)"),
    ],
)
def test_a_collector_that_refuses(
    receiver: Receiver, log: str, capsys: pytest.CaptureFixture[str], status: int, said: str
) -> None:
    receiver.always["/v1/traces"] = Reply(status)
    lines = failing(log, receiver.url, capsys)
    assert len(lines) == 1, lines
    assert lines[0].startswith("whamm-cm: 14 of 14 spans were not sent: the collector at ")
    assert said in lines[0]
    assert receiver.metrics  # the rest is not kept back


def test_a_redirection_is_no_success(
    receiver: Receiver, log: str, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.always["/v1/traces"] = Reply(301, {"location": "https://other.test/"})
    (line,) = failing(log, receiver.url, capsys)
    assert "redirects to https://other.test/ (301 Moved Permanently): name that" in line


@pytest.mark.parametrize("status", (429, 502, 503, 504))
def test_a_collector_that_is_busy_is_asked_again_when_it_says(
    receiver: Receiver, log: str, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    receiver.replies.append(Reply(status, {"retry-after": "0"}))
    assert main(["report", "--otlp", receiver.url, log]) == 0
    assert len(receiver.spans) == 14 and capsys.readouterr().err == ""


def test_a_collector_that_stays_busy(
    receiver: Receiver, log: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    receiver.always["/v1/traces"] = Reply(503, {"retry-after": "60"})
    said = failing(log, receiver.url, capsys)
    assert any("is too busy (503 Service Unavailable); it is tried again" in one for one in said)


def test_a_connection_that_is_closed_is_made_again(
    receiver: Receiver, log: str, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.replies.append(Reply(closes=True))
    assert main(["report", "--otlp", receiver.url, log]) == 0
    assert len(receiver.spans) == 14 and capsys.readouterr().err == ""


def test_a_collector_that_does_not_answer(
    receiver: Receiver, log: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    done = threading.Event()
    receiver.always["/v1/traces"] = Reply(waits=done)
    try:
        said = failing(log, receiver.url, capsys)
    finally:
        done.set()
    assert any("does not answer in time; it is tried again" in one for one in said)


def test_what_it_does_not_want_is_said(
    receiver: Receiver, log: str, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.always["/v1/traces"] = partial(3, "too old")
    (line,) = failing(log, receiver.url, capsys)
    assert "3 of 14 spans were not sent" in line and "rejected them (too old)" in line


@pytest.mark.parametrize("kind", ["", "TRACES_", "LOGS_", "METRICS_"])
@pytest.mark.parametrize(
    "url", ["http://[::1", "file:///etc/passwd", "collector:4318", "http://a:b"]
)
def test_what_is_no_url_in_the_environment(
    log: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    kind: str, url: str,
) -> None:  # fmt: skip
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{kind}ENDPOINT", url)
    assert main(["report", "--otlp", "env", log]) == 2
    assert f"OTEL_EXPORTER_OTLP_{kind}ENDPOINT: expected a URL" in capsys.readouterr().err


def test_a_password_of_the_collectors_is_not_said(
    receiver: Receiver, log: str, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.always["/v1/traces"] = partial(3, "too old")
    (line,) = failing(log, receiver.url.replace("//", "//us:s3cret@"), capsys)
    assert "s3cret" not in line and "rejected them (too old)" in line


@pytest.mark.parametrize(("told", "counted"), [(1 << 40, 14), (-(1 << 40), 0)])
def test_no_more_is_rejected_than_was_sent(
    receiver: Receiver, log: str, capsys: pytest.CaptureFixture[str], told: int, counted: int
) -> None:
    """And what it says of it is one line of ours."""
    receiver.always["/v1/traces"] = partial(told, "too\nwhamm-cm:  old" + "x" * 10_000)
    assert main(["report", "--otlp", receiver.url, log]) == (2 if counted else 0)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == bool(counted)
    for line in lines:
        assert f"{counted} of 14 spans were not sent" in line and "too whamm-cm: old" in line
        assert len(line) < 1000


def test_an_answer_without_end_is_not_read_to_it(receiver: Receiver, log: str) -> None:
    """A 200 is a 200, whatever is behind it."""
    receiver.always["/v1/traces"] = Reply(body=b"x" * 65536, forever=True)
    assert main(["report", "--otlp", receiver.url, log]) == 0
    assert len(receiver.spans) == 14


def test_an_answer_that_cannot_be_decoded_is_one(receiver: Receiver, log: str) -> None:
    """A 200 whose body is not what its headers say does not turn telemetry off."""
    receiver.always["/v1/traces"] = Reply(headers={"content-encoding": "gzip"}, body=b"no gzip")
    assert main(["report", "--otlp", receiver.url, log]) == 0
    assert len(receiver.spans) == 14


def test_one_kind_may_be_unwanted(
    receiver: Receiver, log: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As of a collector of spans only."""
    receiver.always["/v1/metrics"] = Reply(404)
    (line,) = failing(log, receiver.url, capsys)
    assert "1 of 1 sets of metrics were not sent" in line and "takes no sets of metrics" in line
    assert len(receiver.spans) == 14


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One for 127.0.0.1 that nobody has signed, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    found = folder / "cert.pem", folder / "key.pem"
    try:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
             "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-out", str(found[0]),
             "-keyout", str(found[1])],
            check=True, capture_output=True,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("needs the program openssl to make a certificate")
    return found


def test_tls_with_a_certificate_that_is_known(
    log: str, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(certificate[0]))
    with receiving(certificate) as receiver:
        assert main(["report", "--otlp", receiver.url, log]) == 0
        assert len(receiver.spans) == 14


def test_tls_with_one_that_is_not(
    log: str, certificate: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with receiving(certificate) as receiver:
        said = failing(log, receiver.url, capsys)
    assert "is not trusted: " in said[0] and "OTEL_EXPORTER_OTLP_CERTIFICATE" in said[0]


def test_tls_with_who_speaks_none(
    receiver: Receiver, log: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ssl.OPENSSL_VERSION
    said = failing(log, receiver.url.replace("http:", "https:"), capsys)
    assert "it speaks no TLS" in said[0]


def test_without_the_exporter(log: str) -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None;"
        " from whamm_cm.cli.main import entry; entry()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "report", "--otlp", "http://127.0.0.1:4318", log],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == (
        "whamm-cm: --otlp needs the OpenTelemetry exporter: pip install 'whamm-cm[otlp]'\n"
    )


# --- live -----------------------------------------------------------------------------------------


def test_a_pipe_is_sent_while_it_is_written(receiver: Receiver) -> None:
    """The second request comes when the first has arrived."""
    writer = Writer()
    with subprocess.Popen(
        [sys.executable, "-m", "whamm_cm", "report", "--otlp", receiver.url, "-"],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "OTEL_BSP_SCHEDULE_DELAY": "20"},
    ) as process:
        assert process.stdin is not None
        done = 0
        for number in range(3):
            writer.request(f"/{'abc'[number]}")
            for record in writer.records[done:]:
                process.stdin.write(json.dumps(record).encode() + b"\n")
            process.stdin.flush()
            done = len(writer.records)
            name = f"GET /{'abc'[number]}"
            receiver.until(lambda name=name: any(s["name"] == name for s in receiver.spans))
        process.stdin.close()
        assert process.wait(60) == 0
    assert len(receiver.spans) == 18


@pytest.mark.parametrize("bad", ["\ud800", "a\udc80b", "\0", "\x1b[31m", "x" * 1_000_000, ""])
def test_no_name_keeps_the_others_from_leaving(
    receiver: Receiver, tmp_path: Path, bad: str
) -> None:
    """Of a log that anybody can have written: what is no text is sent as far as it is."""
    writer = Writer()
    writer.request("/a")
    writer.one("import", f"a:b/c{bad[:9]}", f"f{bad}", bad, args={bad: bad})
    writer.request(f"/{bad}")
    assert main(["report", "--otlp", receiver.url, str(writer.write(tmp_path / "a.jsonl"))]) == 0
    assert len(receiver.spans) == 13
    whole = f"f{bad}".encode("utf-8", "replace").decode()[:1000]
    assert any(whole in span["attributes"]["code.function.name"] for span in receiver.spans)


@pytest.mark.parametrize("wall", [0, (1 << 63) - 1, (1 << 64) - 1])
def test_no_clock_keeps_spans_from_leaving(receiver: Receiver, tmp_path: Path, wall: int) -> None:
    writer = Writer()
    writer.records[0]["wall_ns"] = wall
    writer.request("/a")
    assert main(["report", "--otlp", receiver.url, str(writer.write(tmp_path / "a.jsonl"))]) == 0
    assert len(receiver.spans) == 6
    assert all(one["start"] <= one["end"] < 1 << 64 for one in receiver.spans)

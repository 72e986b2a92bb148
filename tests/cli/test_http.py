"""``trace --http`` and ``--request``."""

from __future__ import annotations

import base64
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.run.host.rig import Client, echo, post
from whamm_cm.cli.main import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def app(tmp_path: Path) -> str:
    path = tmp_path / "echo.wasm"
    path.write_bytes(echo())
    return str(path)


@dataclass
class Serving:
    process: subprocess.Popen[str]
    address: tuple[str, int]
    #: What was said on stderr before it served, and what after.
    said: str = ""

    def client(self) -> Client:
        return Client(socket.create_connection(self.address, 60))

    def ask(self, request: bytes) -> bytes:
        client = self.client()
        client.say(request)
        return client.rest()

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        _, more = self.process.communicate(timeout=120)
        self.said += more
        return self.process.returncode


@contextmanager
def serving(*words: str, files: int | None = None) -> Iterator[Serving]:
    """``files``: how many it may have open."""

    def limit() -> None:
        if files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    command = [sys.executable, "-m", "whamm_cm", "trace", "--http", "--addr", "127.0.0.1:0", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        preexec_fn=limit,
    ) as process:  # fmt: skip
        try:
            assert process.stderr is not None
            said = ""
            while (match := re.search(r"on http://127\.0\.0\.1:(\d+)/", said)) is None:
                line = process.stderr.readline()
                assert line, said
                said += line
            yield Serving(process, ("127.0.0.1", int(match[1])), said)
        finally:
            process.kill()


def records(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_one_request(app: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "--request", "POST /x", "-d", "hello", app]) == 0
    said = capfd.readouterr()
    assert said.out == "hello"
    assert 'input-stream#4.blocking-read(4096) = ok(b"hello")' in said.err


def test_the_body_may_be_a_file(
    app: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "body").write_bytes(b"x" * 5000)
    assert main(["trace", "--request", "/x", "-d", f"@{tmp_path / 'body'}", app]) == 0
    assert capfd.readouterr().out == "x" * 5000


def test_the_response_is_shown_when_asked(app: str, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["trace", "-v", "--request", "GET /", "-H", "X-A: 1", "-e", "trace=none", app]
    assert main(words) == 0
    assert "whamm-cm: the response has status 200\n" in capfd.readouterr().err


def test_a_trap_of_the_only_request(app: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "--request", "POST /", "-d", "!", app]) == 134
    said = capfd.readouterr().err
    assert "whamm-cm: the guest trapped: wasm trap: wasm `unreachable`" in said
    assert 'blocking-read(4096) = ok(b"!")\n' in said
    assert "lost" not in said


def test_who_reads_the_answer_may_go(app: str) -> None:
    """``trace --request … | head -c 1``: no traceback."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "whamm_cm", "trace", "-e", "trace=none"]
    command += ["--request", "POST /", "-d", "x" * 100_000, app]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, env=environment)
    os.close(writing)
    assert b"Traceback" not in done.stderr
    assert done.returncode not in (0, 4)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--request", "GET /", "--addr", ":1"], "--request has one request answered"),
        (["--http", "-H", "a: b"], "-H and -d are for --request"),
        (["--http", "-d", "x"], "-H and -d are for --request"),
        (["--request", "G(T /"], "--request 'G(T /': expected 'METHOD /path', such as 'GET /'"),
        (["--request", "GET /<a>"], "--request 'GET /<a>': expected 'METHOD /path'"),
        (["--request", "GET /", "-H", "a"], "-H 'a': expected 'Name: value'"),
        (["--http", "--addr", "a:b"], "--addr a:b: expected HOST:PORT, such as 127.0.0.1:8080"),
        (["--http", "--addr", "127.0.0.1:65536"], "--addr 127.0.0.1:65536: expected HOST:PORT"),
        (["--http", "--config", "a"], "--config a: expected KEY=VALUE"),
        (["--http", "--invoke", "f()"], "--invoke calls one export, --http serves"),
    ],
)
def test_options_that_make_no_sense(
    app: str, capfd: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert main(["trace", *words, app]) == 2
    said = capfd.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_a_body_that_is_not_there(app: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "--request", "GET /", "-d", "@/no/such/file", app]) == 3
    assert capfd.readouterr().err == "whamm-cm: /no/such/file: there is no such file\n"


@pytest.mark.parametrize(
    "words", [["--reuse", "0"], ["--reuse", "x"], ["--timeout", "0"], ["--timeout", "soon"]]
)
def test_numbers_that_are_none(
    app: str, capfd: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert main(["trace", "--http", *words, app]) == 2
    assert f"argument {words[0]}: '{words[1]}' is not a" in capfd.readouterr().err


def test_what_is_for_handlers_needs_one(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from fixtures.build import path_of

    command = str(path_of("command"))
    assert main(["trace", "--reuse", "2", command]) == 2
    assert "--reuse is for HTTP handlers; --http serves" in capfd.readouterr().err
    assert main(["trace", "--http", "--addr", "127.0.0.1:0", command]) == 2
    said = capfd.readouterr().err
    assert "the component is no HTTP handler: it exports wasi:cli/run@" in said


def test_arguments_are_refused(app: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "--http", app, "x"]) == 2
    assert "is an HTTP handler, which gets no arguments: x" in capfd.readouterr().err


def test_a_port_in_use(app: str, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["trace", "--http", "--addr", f"127.0.0.1:{port}", app]) == 2
    sentence = f"cannot listen on 127.0.0.1:{port}: Address already in use; choose another --addr"
    assert sentence in capfd.readouterr().err


def test_each_request_has_its_records(app: str, tmp_path: Path) -> None:
    """Sixteen wait for their last byte until all have begun: none gets what is another's."""
    log = tmp_path / "log.jsonl"
    with serving("-o", str(log), "--flush", "each", app) as found:
        clients = [found.client() for _ in range(16)]
        for number, client in enumerate(clients):
            client.say(post(b"%02d" % number)[:-1])
        for number, client in enumerate(clients):
            client.until(b"1\r\n%d\r\n" % (number // 10))
        for number, client in enumerate(clients):
            client.say(b"%d" % (number % 10))
        for number, client in enumerate(clients):
            assert client.rest() == b"1\r\n%d\r\n0\r\n\r\n" % (number % 10)
        assert found.end() == 0
    assert "whamm-cm: 16 requests served\n" in found.said
    read: dict[object, str] = {}
    for one in records(log):
        if one["phase"] == "return" and one["func"].endswith("blocking-read"):  # type: ignore[attr-defined]
            read[one["instance"]] = read.get(one["instance"], "") + _bytes_of(one)
    assert sorted(read.values()) == [f"{number:02d}" for number in range(16)]


def _bytes_of(record: dict[str, object]) -> str:
    result = record["result"]
    assert isinstance(result, dict)
    return base64.b64decode(result["ok"]["~b64"]).decode() if "ok" in result else ""


def test_a_trap_leaves_the_log_whole(app: str, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    with serving("-o", str(log), app) as found:
        slow = found.client()
        slow.say(post(b"hello")[:-3])
        slow.until(b"he\r\n")
        found.ask(post(b"!"))
        slow.say(b"llo")
        assert slow.rest().endswith(b"0\r\n\r\n")
        assert found.end() == 0
    assert found.said.count("whamm-cm: the guest trapped: wasm trap: wasm `unreachable`") == 1
    all_ = records(log)
    assert not [one for one in all_ if one["phase"] == "lost"]
    reads: dict[object, int] = {}
    for one in all_:
        if one["phase"] == "call" and str(one["func"]).endswith("blocking-read"):
            reads[one["instance"]] = reads.get(one["instance"], 0) + 1
    assert sorted(reads.values()) == [1, 3]


def test_calls_are_counted_over_all_requests(app: str) -> None:
    with serving("-c", "-e", "trace=wasi:io/streams#*.blocking-read", app) as found:
        for _ in range(3):
            assert found.ask(post(b"hello")).endswith(b"hello\r\n0\r\n\r\n")
        assert found.end() == 0
    assert re.search(r" 6 .*blocking-read", found.said), found.said


def test_a_script_sees_all_requests(app: str, tmp_path: Path) -> None:
    script = tmp_path / "count.mm"
    script.write_text("wasi:io/streams#*blocking-read:before { report var reads: u64; reads++; }\n")
    with serving("-s", str(script), app) as found:
        for _ in range(2):
            found.ask(post(b"hello"))
        assert found.end() == 0
    assert re.search(r" 4  wasi:io/streams@0.2.0#input-stream.blocking-read", found.said), (
        found.said
    )


def test_an_instance_may_be_reused(app: str, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    with serving("--reuse", "2", "-o", str(log), app) as found:
        for _ in range(4):
            found.ask(post(b"hello"))
        assert found.end() == 0
    instances: Sequence[object] = [
        one["instance"] for one in records(log) if str(one.get("func")).endswith("handle")
    ]
    assert len(set(instances)) == 2


@pytest.mark.parametrize("reuse", ["1", "16"])
def test_one_request_in_four_is_recorded(app: str, tmp_path: Path, reuse: str) -> None:
    """With what the host says of it, or nothing at all, an instance for each or not."""
    log = tmp_path / "log.jsonl"
    with serving("--sample", "1/4", "--reuse", reuse, "-o", str(log), app) as found:
        for _ in range(100):
            assert found.ask(post(b"hello")).startswith(b"HTTP/1.1 200 ")
        assert found.end() == 0
    made = records(log)
    assert [one["sample"] for one in made if one["phase"] == "start"] == [4]
    parts: dict[object, list[object]] = {}
    for one in made:
        if one["phase"] not in ("start", "end"):
            parts.setdefault(one["req"], []).append((one["phase"], one.get("func")))
    assert 6 < len(parts) < 60  # 25 ± 4 standard deviations and more
    whole = next(iter(parts.values()))
    assert len(whole) > 20 and all(part == whole for part in parts.values())


def test_a_guest_that_never_answers(app: str) -> None:
    with serving("--timeout", "300ms", app) as found:
        found.ask(post(b"~"))
        assert found.ask(post(b"hello")).endswith(b"hello\r\n0\r\n\r\n")
        assert found.end() == 0
    assert "whamm-cm: the guest trapped: it had not answered after 0.3 seconds\n" in found.said


def test_requests_under_way_are_in_the_log(app: str, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    with serving("-o", str(log), app) as found:
        client = found.client()
        client.say(post(b"hello")[:-3])
        client.until(b"he\r\n")
        assert found.end() == 0
    reads = [one for one in records(log) if str(one.get("func")).endswith("blocking-read")]
    assert [one["phase"] for one in reads] == ["call", "return", "call"]


def test_the_log_is_there_before_the_first_request(app: str, tmp_path: Path) -> None:
    """So that ``top`` can follow it from the beginning."""
    log = tmp_path / "log.jsonl"
    log.write_text("of a run before\n")
    with serving("-o", str(log), app) as found:
        assert log.read_text() == ""
        assert found.end() == 0


# --- bad days -------------------------------------------------------------------------------------


def test_of_many_at_a_time_nothing_is_lost(app: str, tmp_path: Path) -> None:
    """64 clients, each with 20 requests one after the other: every request has exactly its records,
    in order, and they tell of its own body."""
    log = tmp_path / "log.jsonl"
    answers: list[list[bytes]] = [[] for _ in range(64)]

    def ask(number: int, address: tuple[str, int]) -> None:
        client = Client(socket.create_connection(address, 60))
        for each in range(20):
            client.say(post(b"%02d-%02d" % (number, each), close=False))
            answers[number].append(client.until(b"\r\n0\r\n\r\n")[-12:-7])
        client.socket.close()

    with serving("-o", str(log), app) as found:
        threads = [threading.Thread(target=ask, args=(n, found.address)) for n in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found.end() == 0
    wanted = [[b"%02d-%02d" % (number, each) for each in range(20)] for number in range(64)]
    assert answers == wanted
    assert "whamm-cm: 1280 requests served\n" in found.said
    by_instance: dict[object, list[dict[str, object]]] = {}
    all_ = records(log)
    assert [one["seq"] for one in all_] == list(range(len(all_)))
    for one in all_:
        if one["phase"] in ("call", "return"):
            by_instance.setdefault(one["instance"], []).append(one)
    shapes = {tuple((one["phase"], one["func"]) for one in own) for own in by_instance.values()}
    assert len(shapes) == 1
    (shape,) = shapes
    assert shape[0][1] == shape[-1][1] == "handle"
    bodies = sorted("".join(map(_read, own)) for own in by_instance.values())
    assert bodies == sorted(body.decode() for each in wanted for body in each)


def _read(record: dict[str, object]) -> str:
    is_read = str(record["func"]).endswith("blocking-read") and record["phase"] == "return"
    return _bytes_of(record) if is_read else ""


def test_sigterm_ends_it_as_ctrl_c_does(app: str, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    with serving("-o", str(log), app) as found:
        client = found.client()
        client.say(post(b"hello")[:-3])
        client.until(b"he\r\n")
        assert found.end(signal.SIGTERM) == 0
    assert "whamm-cm: 1 request served\n" in found.said
    reads = [one for one in records(log) if str(one.get("func")).endswith("blocking-read")]
    assert [one["phase"] for one in reads] == ["call", "return", "call"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_told_of_at_once_and_requests_are_served(app: str) -> None:
    with serving("-o", "/dev/full", app) as found:
        assert found.process.stderr is not None
        assert found.ask(post(b"hello")).endswith(b"hello\r\n0\r\n\r\n")
        told = found.process.stderr.readline()
        assert found.ask(post(b"hello")).endswith(b"hello\r\n0\r\n\r\n")
        assert found.end() == 2
    fault = "whamm-cm: /dev/full cannot be written: No space left on device"
    assert told == f"{fault}; serving goes on without it\n"
    assert found.said.endswith(f"whamm-cm: 2 requests served\n{fault}\n")


def test_it_ends_when_nobody_reads_the_log_any_more(app: str) -> None:
    """``trace --http … 2>&1 | head -1``."""
    with serving(app) as found:
        assert found.process.stderr is not None
        found.process.stderr.close()
        with suppress(ConnectionError):  # whether this one is still answered is up to the clock
            found.ask(post(b"hello"))
        assert found.process.wait(120) == 2


def test_what_a_guest_did_is_seen_while_it_waits(app: str, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    with serving("-o", str(log), app) as found:
        client = found.client()
        client.say(post(b"hello")[:-3])
        client.until(b"he\r\n")
        client.say(b"l")
        # What it does before it waits again is in the log when it has.
        client.until(b"l\r\n")
        wanted = ["call", "return", "call", "return", "call"]
        while True:
            reads = [one for one in records(log) if str(one.get("func")).endswith("blocking-read")]
            if [one["phase"] for one in reads] == wanted:
                break
            assert found.process.poll() is None
        assert found.end() == 0


def test_descriptors_that_run_out_are_no_end(app: str) -> None:
    """The clients that have waited longest for nothing make room."""
    with serving("-o", os.devnull, app, files=64) as found:
        idle = [found.client() for _ in range(100)]
        assert found.ask(post(b"hello")).endswith(b"hello\r\n0\r\n\r\n")
        idle[-1].say(post(b"hello"))
        assert idle[-1].rest().endswith(b"hello\r\n0\r\n\r\n")
        assert idle[0].rest() == b""
        for client in idle:
            client.socket.close()
        assert found.end() == 0
    assert "whamm-cm: 2 requests served\n" in found.said

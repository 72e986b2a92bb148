"""WASI 0.3 on real hosts: what ``trace`` runs on wasmtime by itself, and what hosts get woven."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from fixtures import build
from tests.analysis.test_demands import ASKING
from tests.hosts import reading
from tests.hosts.operator import request_of, wash_host
from tests.hosts.rig import Program, Server, each, in_step, running, tag
from tests.hosts.starting import WHAMM, wash_dev
from tests.hosts.test_wash import records, woven
from tests.hosts.tools import need
from tests.registry.server import registry
from whamm_cm.analysis.demands import features
from whamm_cm.component.decode import decode

WAIT_FOR = "wasi:clocks/monotonic-clock#wait-for"
TEXT = Path(build.__file__).parent / "wat" / "p3_command.wat"


@pytest.fixture
def wasmtime() -> str:
    return need("wasmtime")[0]


@pytest.fixture
def command(tmp_path: Path) -> Path:
    path = tmp_path / "app.wasm"
    path.write_bytes(build.build("p3_command"))
    return path


@pytest.fixture
def handler(tmp_path: Path) -> Path:
    path = tmp_path / "handler.wasm"
    path.write_bytes(build.build("p3_echo"))
    return path


def environment(**more: str) -> dict[str, str]:
    """Without a wasmtime on the PATH: that of the package is to be found."""
    clean = {key: value for key, value in os.environ.items() if key != "RUST_BACKTRACE"}
    return {**clean, "PATH": os.defpath, **more}


def trace(*words: str | Path, cwd: Path, **more: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*WHAMM, "trace", *words], input=b"from stdin\n", capture_output=True, cwd=cwd,
        env=environment(**more), timeout=120, check=False,
    )  # fmt: skip


def loaded(path: Path) -> list[reading.Record]:
    return [one for one in reading.load(path) if one["phase"] in ("call", "return")]


# a command


def test_options_reach_the_guest(wasmtime: str, command: Path, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    done = trace(
        *("--env", "A=b c", "--env", "FROM_US", "--env", "NOT_SET", "--dir", "d::/data"),
        *("-o", "log.jsonl", "app.wasm", "one two", "!stdin", "!dirs", "!open", "--", "-x"),
        cwd=tmp_path,
        FROM_US="yes",
    )
    said = done.stderr.decode()
    assert done.stdout.decode().splitlines() == [
        *("A=b c", "FROM_US=yes", "app.wasm", "one two", "from stdin", "/data", "--", "-x")
    ]
    assert done.returncode == 0
    assert said.count("\n") == 1
    assert "app.wasm is made for WASI 0.3.0, which the embedded engine does not have;" in said
    assert f"it runs on {wasmtime} (" in said
    assert (tmp_path / "d" / "note.txt").read_bytes() == b""
    log = loaded(tmp_path / "log.jsonl")
    (opened,) = (one for one in log if one["func"] == "descriptor.open-at" and "args" in one)
    assert opened["args"]["path"] == "note.txt"
    assert reading.unpaired([one for one in log if not one.get("pending")]) == []


def test_sockets_only_where_they_are_allowed(wasmtime: str, command: Path, tmp_path: Path) -> None:
    only = ("-q", "-e", "trace=%net")
    denied = trace(*only, "app.wasm", "!connect", cwd=tmp_path)
    allowed = trace(*only, "--inherit-network", "app.wasm", "!connect", cwd=tmp_path)
    assert b'tcp-socket.create("ipv4") = error(access-denied)' in denied.stderr
    assert b"connect(127.0.0.1:9) = error(connection-refused)" in allowed.stderr


@pytest.mark.parametrize(("word", "status"), [("hello", 0), ("!fail", 1), ("!trap", 134)])
def test_the_status_is_that_of_the_embedded_engine(
    wasmtime: str, command: Path, tmp_path: Path, word: str, status: int
) -> None:
    done = trace("-q", "-e", "trace=wasi:cli/run", "app.wasm", word, cwd=tmp_path)
    ends = {0: b"= ok\n", 1: b"= error\n", 134: b"= ?\n"}
    assert done.returncode == status
    assert ends[status] in done.stderr
    assert (b"wasm trap: wasm `unreachable` instruction executed" in done.stderr) == (status == 134)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(
    wasmtime: str, command: Path, tmp_path: Path, number: signal.Signals
) -> None:
    words = (*WHAMM, "trace", "--flush", "each", "app.wasm", "!wait")
    with running(words, tmp_path / "log", cwd=tmp_path) as program:
        program.expect(r"wait-for\(3600000000000\)")
        assert program.stop(number) == 128 + number
    assert f"<… {WAIT_FOR} resumed> = ?\n<… wasi:cli/run#run resumed> = ?\n" in program.text


def test_an_export_can_be_called(wasmtime: str, command: Path, tmp_path: Path) -> None:
    for call in ("run()", "wasi:cli/run#run"):
        done = trace("-q", "-e", "trace=none", "--invoke", call, "app.wasm", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, b"app.wasm\nok\n"), done.stderr


def test_standard_input_can_be_the_component(wasmtime: str, command: Path, tmp_path: Path) -> None:
    words = [*WHAMM, "trace", "-q", "-e", "trace=none", "-", "hello"]
    done = subprocess.run(
        words, input=command.read_bytes(), capture_output=True, env=environment(), check=False
    )
    assert (done.returncode, done.stdout) == (0, b"-\nhello\n"), done.stderr


def test_the_log_is_that_of_the_command_by_hand(
    wasmtime: str, command: Path, tmp_path: Path
) -> None:
    logs = []
    for log, words in (
        ("a.jsonl", ("app.wasm", "hello")),
        ("b.jsonl", ("--", wasmtime, "run", "-Sp3", "app.wasm", "hello")),
    ):
        assert trace("--no-time", "-o", log, *words, cwd=tmp_path).returncode == 0
        kept = ("phase", "interface", "func", "args", "result")
        logs.append([[one.get(key) for key in kept] for one in loaded(tmp_path / log)])
    assert logs[0] == logs[1]
    assert len(logs[0]) > 10


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('async (callback (func $main "callback"))', "async"),
        ("(canon stream.write $bytes async (memory $memory))",
         "(canon stream.write $bytes (memory $memory))"),
    ],
    ids=["async-stackful", "more-async-builtins"],
)  # fmt: skip
def test_it_is_asked_for_what_the_component_needs(
    wasmtime: str, tmp_path: Path, old: str, new: str, request: pytest.FixtureRequest
) -> None:
    text = TEXT.read_text()
    assert old in text
    if new == "async":
        text = text.replace(
            '(func (export "run") (result i32) (i32.const 1))',
            '(func (export "run") (call $return (call $main)))',
        )
    wasm = bytes(wat2wasm(text.replace(old, new)))
    (tmp_path / "app.wasm").write_bytes(wasm)
    assert features(decode(wasm)) == ("async", request.node.callspec.id)
    bare = subprocess.run([wasmtime, "app.wasm"], cwd=tmp_path, capture_output=True, check=False)
    assert request.node.callspec.id.replace("-", " ") in bare.stderr.decode()
    done = trace("-q", "app.wasm", "hello", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, b"app.wasm\nhello\n"), done.stderr


@pytest.mark.parametrize("feature", ASKING)
def test_wasmtime_refuses_what_it_is_not_asked_for(
    wasmtime: str, tmp_path: Path, feature: str
) -> None:
    """An independent opinion on what needs what: with all we name and without this one."""
    for text in ASKING[feature]:
        (tmp_path / "a.wasm").write_bytes(wat2wasm(f"(component {text})"))
        found = features(decode((tmp_path / "a.wasm").read_bytes()))
        for given, code in ((found, 0), ([one for one in found if one != feature], 1)):
            known = {*given, *(set(found) - {feature})}
            options = [f"-Wcomponent-model-{one}=y" for one in known]
            options += [] if feature in known else [f"-Wcomponent-model-{feature}=n"]
            words = [wasmtime, "compile", *options, "-o", "a.cwasm", "a.wasm"]
            done = subprocess.run(words, cwd=tmp_path, capture_output=True, check=False)
            assert done.returncode == code, f"{text} {options}\n{done.stderr.decode()}"


# a handler

FLUSHED = ("--flush", "live", "-f", "jsonl", "-o")


@contextmanager
def serving(folder: Path, words: Sequence[str]) -> Iterator[tuple[Server, Program]]:
    with running((*WHAMM, "trace", *words), folder / "serve.log") as program:
        yield Server(program.port("Serving HTTP on")), program


def check(found: list[reading.Record], requests: int) -> None:
    """Each request a task of its own, whole; ``pending`` is not the end of a call."""
    ends = [one for one in found if one["phase"] in ("call", "return") and not one.get("pending")]
    calls = [one for one in ends if one["phase"] == "call" and one.get("edge") == "export"]
    assert len(calls) == requests
    tasks = {(*reading.run_of(one), one["task"]) for one in calls}
    assert len(tasks) == requests
    runs = reading.runs(ends)
    assert [fault for run in runs.values() for fault in reading.unpaired(run)] == []
    waits = [one for one in ends if one["func"] == "wait-for" and one["phase"] == "return"]
    assert {(*reading.run_of(one), one["task"]) for one in waits} == tasks


@pytest.mark.parametrize("itself", [True, False], ids=["by itself", "by hand"])
def test_requests_in_flight_together(
    wasmtime: str, handler: Path, tmp_path: Path, itself: bool
) -> None:
    log = tmp_path / "log.jsonl"
    by_hand = ("--", wasmtime, "serve", "-Sp3,cli", "--addr", "127.0.0.1:0")
    where = ("--addr", "127.0.0.1:0") if itself else by_hand
    words = (*FLUSHED, str(log), *where, str(handler))
    with serving(tmp_path, words) as (server, program):
        assert in_step(server, 16, 8) == {"200 echo": 16}
        answers = each(100, lambda n: server.post(tag(n)) == (200, tag(n)), 16)
        assert answers == [True] * 100
        assert program.stop() == 0
    check(reading.load(log), 116)


def test_a_trap_takes_nobody_elses_records_along(
    wasmtime: str, handler: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    words = ("--addr", "127.0.0.1:0", "--flush", "each", *FLUSHED[2:], str(log), str(handler))
    with serving(tmp_path, words) as (server, program):
        assert server.post(b"one") == (200, b"one")
        assert server.post(b"two", "/trap")[0] == 500
        assert server.post(b"three") == (200, b"three")
        assert program.stop() == 0
    ends = [one for one in reading.load(log) if one.get("edge") == "export"]
    assert [one["phase"] for one in ends].count("call") == 3
    assert [one["phase"] for one in ends].count("return") == 2


def test_what_the_embedded_engine_has_may_run_on_wasmtime(wasmtime: str, tmp_path: Path) -> None:
    """A handler of WASI 0.2, what it is configured with, and a command."""
    (tmp_path / "echo.wasm").write_bytes(build.build("http_echo"))
    words = ("--engine", "wasmtime", "--addr", "127.0.0.1:0", "--timeout", "40s", "--reuse", "2")
    log = tmp_path / "log.jsonl"
    app = str(tmp_path / "echo.wasm")
    with serving(tmp_path, (*words, *FLUSHED, str(log), app)) as (server, program):
        assert server.post(b"hello") == (200, b"hello")
        assert program.stop() == 0
    calls = [one["phase"] for one in reading.load(log) if one.get("edge") == "export"]
    assert calls == ["call", "return"]
    (tmp_path / "run.wasm").write_bytes(build.build("run_command"))
    done = trace("--engine", "wasmtime", "run.wasm", cwd=tmp_path)
    here = trace("--engine", "embedded", "run.wasm", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (here.returncode, here.stdout)
    assert done.stderr.count(b"\n") == here.stderr.count(b"\n") > 0


def test_a_core_module_may_run_on_wasmtime(wasmtime: str, tmp_path: Path) -> None:
    """A program of WASI preview 1, and one that imports nothing."""
    for name, words in (("preview1", ("-e", "trace=*")), ("squares", ("-m", "icount"))):
        (tmp_path / "app.wasm").write_bytes(build.build(name))
        done = trace("--engine", "wasmtime", *words, "app.wasm", cwd=tmp_path)
        here = trace("--engine", "embedded", *words, "app.wasm", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (here.returncode, here.stdout), done.stderr
        assert done.stderr.count(b"\n") == here.stderr.count(b"\n") > 0
        assert b"Cannot enable" not in done.stderr


def test_a_handler_gets_no_arguments(handler: Path, tmp_path: Path) -> None:
    done = trace(str(handler), "x", cwd=tmp_path)
    assert done.returncode == 2
    assert b"is an HTTP handler, which gets no arguments: x" in done.stderr


# wasmCloud

MANIFEST = """
spec:
  components:
    - {name: echo, image: echo, %s}
  hostInterfaces:
    - {namespace: wasi, package: http, interfaces: [handler], config: {host: echo.test}}
"""


def test_wash_dev(handler: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    woven(tmp_path / "app.wasm", handler)
    with wash_dev(tmp_path, tmp_path / "app.wasm") as (server, program):
        program.expect("listening for HTTP requests")
        assert in_step(server, 16, 4) == {"200 echo": 16}
        program.stop()
    check(records(program.log, tmp_path / "app.wasm", capsys), 16)


@pytest.mark.parametrize(
    "pool",
    ["poolSize: 2, maxConcurrency: 4", "poolSize: 1, maxConcurrency: 16", "poolSize: 16"],
)
def test_wash_host_in_a_pool(
    pool: str, handler: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = {"woven:1": woven(tmp_path / "w.wasm", handler)}
    with registry(images) as address, wash_host(tmp_path) as host:
        started, fault = host.start(request_of(MANIFEST % pool, {"echo": f"{address}/woven:1"}))
        assert fault == ""
        server = Server(host.port, "echo.test")
        answers = each(100, lambda n: server.post(tag(n)) == (200, tag(n)), 16)
        assert answers == [True] * 100
        host.stop(started)
    found = records(tmp_path / "host.log", tmp_path / "w.wasm", capsys)
    check(found, 100)
    calls = [one for one in found if one["phase"] == "call" and one.get("edge") == "export"]
    assert len({reading.run_of(one) for one in calls}) < 100  # instances are used again


# jco


@pytest.fixture
def jco(tmp_path: Path) -> str:
    """A folder to run jco in, which finds its packages there; skipped without jco, and without a
    Node that lets functions wait (JSPI)."""
    program = shutil.which("jco")
    if program is None:
        pytest.skip(
            "NOT run: jco is not installed; npm install @bytecodealliance/jco, and put its"
            " node_modules/.bin on the PATH"
        )
    probe = ["node", "-e", "process.exit(typeof WebAssembly.Suspending == 'function' ? 0 : 1)"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("NOT run: this Node has no WebAssembly.Suspending; 25 has")
    packages = next(one for one in Path(program).parents if one.name == "node_modules")
    (tmp_path / "node_modules").symlink_to(packages)
    return program


@pytest.mark.oracle
def test_jco(jco: str, command: Path, tmp_path: Path) -> None:
    words = ("--", jco, "run", "--jco-dir", str(tmp_path / "run"), "app.wasm", "hello")
    done = subprocess.run(
        [*WHAMM, "trace", "-o", "log.jsonl", *words], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.endswith(b"app\nhello\n")
    log = loaded(tmp_path / "log.jsonl")
    arguments = [one["result"] for one in log if one["func"] == "get-arguments" and "result" in one]
    assert arguments == [["app", "hello"]]
    assert reading.unpaired([one for one in log if not one.get("pending")]) == []

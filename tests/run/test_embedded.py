"""The embedded runner: exit statuses, traps, what the guest sees of the host, exports, the sink."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from tests.run.guests import assemble
from whamm_cm.errors import RunError, UsageError
from whamm_cm.run.embedded import run_component
from whamm_cm.run.options import Dir
from whamm_cm.run.outcome import Frame, Outcome


def _run(wasm: bytes, *words: str, **options: object) -> Outcome:
    return run_component(wasm, args=["guest", *words], cache=False, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("letter", "status"),
    [("", 0), ("e", 1), ("o", 0), ("f", 1)],
    ids=["ok", "exit", "exit0", "err"],
)
def test_the_guests_status_is_ours(command: bytes, letter: str, status: int) -> None:
    outcome = _run(command, *letter)
    assert (outcome.status, outcome.trap, outcome.interrupted) == (status, None, False)


def test_a_trap_has_a_message_and_a_backtrace(command: bytes) -> None:
    outcome = _run(command, "t")
    assert outcome.status == 134
    assert outcome.trap is not None
    assert str(outcome.trap) == "wasm trap: wasm `unreachable` instruction executed"
    frames = outcome.trap.frames
    assert [(f.module, f.function) for f in frames] == [
        ("main", "inner"),
        ("main", "middle"),
        ("main", None),
    ]
    assert all(frame.offset > 0 for frame in frames)
    assert str(Frame("main", None, 16)) == "main!? (0x10)"


def test_standard_streams(command: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    print("before")
    _run(command, "h")
    assert capfd.readouterr().out == "before\nhello\n"
    _run(command, "h", inherit_stdout=False)
    assert capfd.readouterr().out == ""


def test_environment_and_directories(
    command: bytes, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _run(command, "v", env=[("NAME", "välue"), ("B", "2")])
    assert capfd.readouterr().out == "NAME=välue"
    _run(command, "d", dirs=[Dir(str(tmp_path), "/guest", read_only=True)])
    assert capfd.readouterr().out == "/guest"


def test_stdin(command: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    _run(command, "i", inherit_stdin=False)
    assert capfd.readouterr().out == ""
    reader, writer = os.pipe()
    saved = os.dup(0)
    try:
        os.write(writer, b"typed")
        os.close(writer)
        os.dup2(reader, 0)
        _run(command, "i")
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(reader)
    assert capfd.readouterr().out == "typed"


def test_what_wasi_cannot_carry_is_refused(command: bytes) -> None:
    with pytest.raises(RunError, match=r"'a\\udcff' is not valid UTF-8"):
        _run(command, "a\udcff")
    with pytest.raises(RunError, match="not valid UTF-8"):
        _run(command, env=[("A", "b\0c")])
    with pytest.raises(RunError, match="directory '/no/such/place' cannot be opened"):
        _run(command, dirs=[Dir("/no/such/place", "/")])


def test_sockets_need_permission() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        call = f"connect({server.getsockname()[1]})"
        assert _run(assemble("run_network"), invoke=call).result == "201"
        assert _run(assemble("run_network"), invoke=call, inherit_network=True).result == "0"


def test_not_a_component() -> None:
    with pytest.raises(RunError, match="the embedded engine refuses the component: .*"):
        _run(bytes(wat2wasm("(module)")))
    with pytest.raises(RunError, match="the embedded engine refuses the component: "):
        _run(b"\0asm\x0d\0\1\0\xff")


def test_not_a_command() -> None:
    with pytest.raises(RunError, match=r"no WASI 0.2 command .*--invoke 'func\(args\)'"):
        _run(assemble("run_exports"))
    handler = wat2wasm(
        """(component (core module $m (func (export "f"))) (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f"))) (instance $h (export "handle" (func $f)))
        (export "wasi:http/incoming-handler@0.2.0" (instance $h)))"""
    )
    with pytest.raises(RunError, match="it is an HTTP handler: whamm-cm trace --http APP.wasm"):
        _run(bytes(handler))
    later = wat2wasm(
        """(component (core module $m (func (export "f") (result i32) i32.const 0))
        (core instance $i (instantiate $m))
        (func $f (result (result)) (canon lift (core func $i "f")))
        (instance $run (export "run" (func $f))) (export "wasi:cli/run@0.3.0" (instance $run)))"""
    )
    with pytest.raises(RunError, match="it is a WASI 0.3 command: whamm-cm trace APP.wasm runs it"):
        _run(bytes(later))


EXPORTS = [
    ("acme:pkg/counter@1.0.0#count", "1"),
    ("acme:pkg/counter@2.0.0#count()", "2"),
    ("acme:pkg/counter#only()", "1"),
    ("counter#only", "1"),
    ("acme:pkg/math@0.1.0#add(1, -3)", "-2"),
    ("math#add(1, 2)", "3"),
    ("later()", "42"),
    ("make()", "<own>"),
]


@pytest.mark.parametrize(("call", "result"), EXPORTS)
def test_invoke(call: str, result: str) -> None:
    outcome = _run(assemble("run_exports"), invoke=call)
    assert (outcome.status, outcome.result) == (0, result)


@pytest.mark.parametrize(
    ("call", "error", "reason"),
    [
        ("counter#count", UsageError, "more than one export is called counter#count"),
        ("add(1, 2)", UsageError, "no export add; there is acme:pkg/counter@1.0.0#count, "),
        ("math#add(1)", UsageError, "argument 'b' is missing"),
        ("drain(1)", RunError, "drain takes or returns a stream"),
    ],
)
def test_bad_invocations(call: str, error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        _run(assemble("run_exports"), invoke=call)


def test_a_trap_in_an_async_export() -> None:
    outcome = _run(assemble("run_exports"), invoke="crash")
    assert outcome.status == 134
    assert outcome.trap is not None
    assert "unreachable" in outcome.trap.message


def test_the_sink_gets_the_blocks_and_answers() -> None:
    blocks: list[str] = []

    def emit(block: str) -> int:
        blocks.append(block)
        return 10 * len(blocks)

    outcome = _run(assemble("run_sink"), invoke="send(3)", emit=emit)
    assert outcome.result == "60"
    assert blocks == ["block"] * 3


@pytest.mark.parametrize("error", [ValueError("bad block"), SystemExit(9), KeyboardInterrupt()])
def test_what_the_sink_raises_surfaces(error: BaseException) -> None:
    calls = []

    def emit(block: str) -> int:
        calls.append(block)
        raise error

    with pytest.raises(type(error)) as caught:
        _run(assemble("run_sink"), invoke="send(3)", emit=emit)
    assert caught.value is error
    assert len(calls) == 1


def test_a_sink_that_answers_nonsense_is_an_error() -> None:
    with pytest.raises(TypeError, match="expected an instance id"):
        _run(assemble("run_sink"), invoke="send(1)", emit=lambda block: "x")


def test_signal_handlers_are_put_back_and_threads_end(command: bytes) -> None:
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    _run(command)
    after = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert before == after
    assert not [t for t in threading.enumerate() if t.name == "whamm-cm guest" and t.is_alive()]


def test_runs_off_the_main_thread(command: bytes) -> None:
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(_run(command, "f")))
    thread.start()
    thread.join(30)
    assert [outcome.status for outcome in outcomes] == [1]

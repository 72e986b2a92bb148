"""``trace --record`` and ``replay`` of guests that are killed, stopped, stubbed; and several at
once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from fixtures.build import path_of
from tests.cli.test_http import serving
from tests.cli.test_record import ROOT, command, recorded
from whamm_cm.errors import RunError
from whamm_cm.run.embedded import beside
from whamm_cm.trace.recorded import read_recording
from whamm_cm.trace.recording import Recorder, Subject
from whamm_cm.wit.model import World

#: Waits for an hour; asks what time it is and computes for ever; calls what nobody has.
GUEST = """
(component
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $p (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $p))))))
  (alias export $poll "pollable" (type $p))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $p (type $p0))
    (export "pollable" (type $q (eq $p0)))
    (export "now" (func (result u64)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $q))))))
  (import "test:no/body@1.0.0" (instance $none (export "has" (func (param "x" u32)))))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $now (canon lower (func $clock "now")))
  (core func $sleep (canon lower (func $clock "subscribe-duration")))
  (core func $has (canon lower (func $none "has")))
  (core module $m
    (import "" "block" (func $block (param i32)))
    (import "" "now" (func $now (result i64)))
    (import "" "sleep" (func $sleep (param i64) (result i32)))
    (import "" "has" (func $has (param i32)))
    (func (export "wait") (call $block (call $sleep (i64.const 3600000000000))))
    (func (export "spin") (drop (call $now)) (loop $again (br $again)))
    (func (export "stub") (call $has (i32.const 7))))
  (core instance $i (instantiate $m (with "" (instance
    (export "block" (func $block)) (export "now" (func $now))
    (export "sleep" (func $sleep)) (export "has" (func $has))))))
  (func (export "wait") (canon lift (core func $i "wait")))
  (func (export "spin") (canon lift (core func $i "spin")))
  (func (export "stub") (canon lift (core func $i "stub"))))
"""

#: All of standard input, then a few zeroes, to standard output, without seeing any of it.
SPLICE = """
(component
  (import "wasi:io/error@0.2.0" (instance $errors (export "error" (type (sub resource)))))
  (alias export $errors "error" (type $error))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $error (type $e0))
    (export "error" (type $e (eq $e0)))
    (export "input-stream" (type $in (sub resource)))
    (export "output-stream" (type $out (sub resource)))
    (type $why0 (variant (case "last-operation-failed" (own $e)) (case "closed")))
    (export "stream-error" (type $why (eq $why0)))
    (export "[method]output-stream.blocking-splice" (func
      (param "self" (borrow $out)) (param "src" (borrow $in)) (param "len" u64)
      (result (result u64 (error $why)))))
    (export "[method]output-stream.blocking-write-zeroes-and-flush" (func
      (param "self" (borrow $out)) (param "len" u64) (result (result (error $why)))))))
  (alias export $streams "input-stream" (type $in))
  (alias export $streams "output-stream" (type $out))
  (import "wasi:cli/stdin@0.2.0" (instance $stdin
    (alias outer 1 $in (type $in0)) (export "input-stream" (type $in1 (eq $in0)))
    (export "get-stdin" (func (result (own $in1))))))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $out (type $out0)) (export "output-stream" (type $out1 (eq $out0)))
    (export "get-stdout" (func (result (own $out1))))))
  (core module $memory (memory (export "memory") 1))
  (core instance $mem (instantiate $memory))
  (core func $splice (canon lower (func $streams "[method]output-stream.blocking-splice")
    (memory $mem "memory")))
  (core func $zeroes (canon lower
    (func $streams "[method]output-stream.blocking-write-zeroes-and-flush")
    (memory $mem "memory")))
  (core func $stdin (canon lower (func $stdin "get-stdin")))
  (core func $stdout (canon lower (func $stdout "get-stdout")))
  (core module $m
    (import "" "splice" (func $splice (param i32 i32 i64 i32)))
    (import "" "zeroes" (func $zeroes (param i32 i64 i32)))
    (import "" "stdin" (func $stdin (result i32)))
    (import "" "stdout" (func $stdout (result i32)))
    (func (export "run") (local $out i32)
      (local.set $out (call $stdout))
      (call $splice (local.get $out) (call $stdin) (i64.const 4096) (i32.const 0))
      (call $zeroes (local.get $out) (i64.const 3) (i32.const 16))))
  (core instance $i (instantiate $m (with "" (instance
    (export "splice" (func $splice)) (export "zeroes" (func $zeroes))
    (export "stdin" (func $stdin)) (export "stdout" (func $stdout))))))
  (func (export "run") (canon lift (core func $i "run"))))
"""


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    (tmp_path / "guest.wasm").write_bytes(wat2wasm(GUEST))
    return tmp_path


def records_so_far(path: Path) -> bytes:
    """What can be read of a recording that is being written."""
    return zlib.decompressobj(31).decompress(path.read_bytes()) if path.exists() else b""


@contextmanager
def recording(folder: Path, call: str, until: bytes) -> Iterator[subprocess.Popen[str]]:
    """A run under way, when ``until`` is in the file."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    words = ["--record", "run.wcr", "--stub-imports", "--invoke", call, "guest.wasm"]
    with subprocess.Popen(
        [sys.executable, "-m", "whamm_cm", "trace", *words], cwd=folder, env=environment,
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            while until not in records_so_far(folder / "run.wcr"):
                assert process.poll() is None, process.stderr and process.stderr.read()
                threading.Event().wait(0.02)
            yield process
        finally:
            process.kill()


def test_killed_while_it_waits(guest: Path) -> None:
    """All that passed is in the file, though nothing comes any more."""
    with recording(guest, "wait()", b'"pollable.block"') as process:
        process.kill()
        process.wait()
    again = command(guest, "replay", "run.wcr")
    assert again.returncode == 1, again.stderr
    assert "the recording is cut off: it has no call 4; all before are as recorded" in again.stderr
    shown = command(guest, "report", "run.wcr")
    assert shown.returncode == 0 and "pollable.block(" in shown.stdout.replace("#1", "")
    assert "it is cut off there" in shown.stderr


@pytest.mark.parametrize(
    ("call", "until"), [("wait()", b'"pollable.block"'), ("spin()", b'"phase":"return"')]
)
def test_stopped(call: str, until: bytes, guest: Path) -> None:
    """A replay ends where the run was stopped, also one that would compute for ever."""
    with recording(guest, call, until) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    (life,) = read_recording(str(guest / "run.wcr")).lives
    assert life.stopped is not None and life.entered[0].answer is None
    stop, end = (r for r in recorded(guest / "run.wcr") if r["phase"] == "end")
    assert (stop["instance"], stop["stopped"], end["status"]) == (1, True, 130)
    again = command(guest, "replay", "run.wcr")
    assert again.returncode == 0, again.stderr
    assert "the guest was stopped, as it was then" in again.stderr
    assert "all as recorded" in again.stderr and "trapped" not in again.stderr


def test_calls_of_stubs(guest: Path) -> None:
    words = ("--stub-imports", "--invoke", "stub()", "guest.wasm")
    ran = command(guest, "trace", "--record", "run.wcr", *words)
    assert ran.returncode == 134 and "the stub of the unknown import" in ran.stderr
    *_, call, end = recorded(guest / "run.wcr")
    assert (call["func"], call["args"], end["status"]) == ("has", {"x": 7}, 134)
    again = command(guest, "replay", "run.wcr")
    assert again.returncode == 0 and "the guest trapped, as it did then" in again.stderr


def test_what_is_moved_to_standard_output(tmp_path: Path) -> None:
    (tmp_path / "splice.wasm").write_bytes(wat2wasm(SPLICE))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    ran = subprocess.run(
        [sys.executable, "-m", "whamm_cm", "trace", "--record", "run.wcr", "--invoke", "run()",
         "splice.wasm"], cwd=tmp_path, env=environment, input="moved", capture_output=True,
        text=True, timeout=300,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (0, "moved\0\0\0"), ran.stderr
    again = command(tmp_path, "replay", "run.wcr")
    assert (again.returncode, again.stdout) == (0, "moved\0\0\0"), again.stderr


def test_requests_that_overlap(tmp_path: Path) -> None:
    """Two instances whose calls are mixed in the recording, and bodies of many reads."""
    app, into = tmp_path / "echo.wasm", tmp_path / "run.wcr"
    app.write_bytes(path_of("http_echo").read_bytes())
    half = 150_000
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {2 * half}\r\nConnection: close\r\n\r\n"
    with serving("--record", str(into), str(app)) as server:
        peers = [socket.create_connection(server.address, 60) for _ in range(3)]
        files = [peer.makefile("rb") for peer in peers]
        for letter, peer in zip(b"abc", peers, strict=True):
            peer.sendall(head.encode() + bytes([letter]) * half)
        for file in files:  # each has begun to answer, and none has ended
            assert b"200" in file.readline()
        for letter, peer in zip(b"abc", peers, strict=True):
            peer.sendall(bytes([letter]) * half)
        for letter, file, peer in zip(b"abc", files, peers, strict=True):
            assert file.read().count(bytes([letter])) >= 2 * half
            peer.close()
        assert server.end() == 0
    numbers = [record["instance"] for record in recorded(into) if record["phase"] == "call"]
    assert numbers != sorted(numbers)
    again = command(tmp_path, "replay", "run.wcr")
    assert again.returncode == 0 and "all as recorded" in again.stderr, again.stderr


def test_a_guest_that_is_left_behind_writes_nothing_more() -> None:
    file = BytesIO()
    subject = Subject("x.wasm", b"", (), None)
    into = Recorder(lambda: file, World(), subject, "keep")
    watcher = into.instance()
    into.finish(None)
    watcher.stopped()
    assert into.records == 0


def _until(event: threading.Event) -> Callable[[], str]:
    def work() -> str:
        assert event.wait(60)
        return "done"

    return work


def test_work_beside_is_interrupted() -> None:
    event = threading.Event()
    assert beside(_until(event), event.set, lambda: True) == "done"
    event = threading.Event()

    def signalled() -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return _until(event)()

    with pytest.raises(KeyboardInterrupt):
        beside(signalled, event.set, lambda: False)
    assert event.is_set()

    def failing() -> str:
        raise RunError("as it is")

    with pytest.raises(RunError, match="as it is"):
        beside(failing, event.set, lambda: False)

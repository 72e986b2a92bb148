"""Ten ways for a guest to end, and what the log has then: every call up to the end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from tests.docs.book import code, rows
from tests.run.guests import ROOT
from whamm_cm.cli.main import main

RANDOM = """(import "wasi:random/random@0.2.0" (instance $r
    (export "get-random-u64" (func (result u64)))
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))"""
CALLS = 300
LOOP = f"""(loop $a (drop (call $r)) (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $a (i32.lt_u (local.get $i) (i32.const {CALLS}))))"""


def command(body: str, functions: str = "", calls: str = LOOP) -> str:
    """A command that calls the host and then does what ``body`` says."""
    return f"""(component {RANDOM}
  (core func $l (canon lower (func $r "get-random-u64")))
  (core module $m (import "h" "r" (func $r (result i64))) (memory 1) {functions}
    (func (export "run") (result i32) (local $i i32) {calls} {body} (i32.const 0)))
  (core instance $i (instantiate $m (with "h" (instance (export "r" (func $l))))))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $x (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $x)))"""


#: A host call in the allocator: nothing may leave there, so the host traps.
IN_REALLOC = f"""(component {RANDOM}
  (core module $shim (table (export "t") 1 funcref) (type $f (func (param i64 i32)))
    (func (export "b") (param i64 i32) (call_indirect (type $f)
      (local.get 0) (local.get 1) (i32.const 0))))
  (core instance $shim (instantiate $shim))
  (core func $u (canon lower (func $r "get-random-u64")))
  (core module $m (import "h" "b" (func $b (param i64 i32))) (import "h" "u" (func $u (result i64)))
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (drop (call $u)) (i32.const 64))
    (func (export "run") (result i32)
      (drop (call $u)) (drop (call $u)) (call $b (i64.const 8) (i32.const 16)) (i32.const 0)))
  (core instance $i (instantiate $m (with "h" (instance
    (export "b" (func $shim "b")) (export "u" (func $u))))))
  (core func $l (canon lower (func $r "get-random-bytes") (memory $i "memory")
    (realloc (func $i "realloc"))))
  (core module $fix (import "" "t" (table 1 funcref)) (import "" "f" (func $f (param i64 i32)))
    (elem (i32.const 0) func $f))
  (core instance (instantiate $fix (with "" (instance
    (export "t" (table $shim "t")) (export "f" (func $l))))))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $x (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $x)))"""

#: The host traps in the drop: a pollable is still there.
IN_A_DROP = """(component
  (import "wasi:io/poll@0.2.0" (instance $poll (export "pollable" (type (sub resource)))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:io/streams@0.2.0" (instance $st
    (alias outer 1 $pollable (type $p)) (export "pollable" (type $pp (eq $p)))
    (export "output-stream" (type $o (sub resource)))
    (export "[method]output-stream.subscribe"
      (func (param "self" (borrow $o)) (result (own $pp))))))
  (alias export $st "output-stream" (type $os))
  (import "wasi:cli/stdout@0.2.0" (instance $so (alias outer 1 $os (type $o))
    (export "output-stream" (type $o2 (eq $o)))
    (export "get-stdout" (func (result (own $o2))))))
  (core func $get (canon lower (func $so "get-stdout")))
  (core func $sub (canon lower (func $st "[method]output-stream.subscribe")))
  (core func $drop (canon resource.drop $os))
  (core module $m (import "e" "get" (func $get (result i32)))
    (import "e" "sub" (func $sub (param i32) (result i32)))
    (import "e" "drop" (func $drop (param i32)))
    (func (export "run") (result i32) (local $s i32)
      (local.set $s (call $get)) (drop (call $sub (local.get $s)))
      (call $drop (local.get $s)) (i32.const 0)))
  (core instance $i (instantiate $m (with "e" (instance (export "get" (func $get))
    (export "sub" (func $sub)) (export "drop" (func $drop))))))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $r (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $r)))"""

EXIT = f"""(component {RANDOM}
  (import "wasi:cli/exit@0.2.0" (instance $e (export "exit" (func (param "status" (result))))))
  (core func $l (canon lower (func $r "get-random-u64")))
  (core func $e (canon lower (func $e "exit")))
  (core module $m (import "h" "r" (func $r (result i64))) (import "h" "e" (func $e (param i32)))
    (func $leave (call $e (i32.const 1)))
    (func (export "run") (result i32) (local $i i32) {LOOP} (call $leave) (i32.const 0)))
  (core instance $i (instantiate $m (with "h" (instance
    (export "r" (func $l)) (export "e" (func $e))))))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $x (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $x)))"""

DEEP = "(func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (i32.const 1)))"
#: (text, exit status, what whamm-cm says, calls of random that have returned, last line)
KINDS: dict[str, tuple[str, int, str, int, str]] = {
    "unreachable early": (command("(unreachable)", calls=""), 134, "unreachable", 0, "run"),
    "unreachable late": (command("(unreachable)"), 134, "unreachable", CALLS, "run"),
    "stack overflow": (command("(drop (call $deep (i32.const 1)))", DEEP), 134, "exhausted",
                       CALLS, "run"),
    "out of bounds": (command("(drop (i32.load (i32.const -4)))"), 134, "out of bounds",
                      CALLS, "run"),
    "division by zero": (command("(drop (i32.div_u (local.get $i) (i32.const 0)))"), 134,
                         "divide by zero", CALLS, "run"),
    "in realloc": (IN_REALLOC, 134, "cannot leave", 2, "get-random-bytes"),
    "in a drop": (IN_A_DROP, 134, "children", 0, "drop"),
    "exit": (EXIT, 1, "", CALLS, "exit"),
}  # fmt: skip


@pytest.fixture
def trace(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def run(text: str, *options: str) -> tuple[int, str]:
        path = tmp_path / "app.wasm"
        path.write_bytes(bytes(wat2wasm(text)))
        status = main(["trace", *options, str(path)])
        return status, capfd.readouterr().err

    return run


def records(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("time", [(), ("--no-time",), ("--flush", "full")])
@pytest.mark.parametrize("kind", KINDS)
def test_every_call_is_in_the_log(trace, kind: str, time: tuple[str, ...]) -> None:
    text, status, says, calls, last = KINDS[kind]
    found, err = trace(text, "-f", "jsonl", *time)
    log = records(err)
    assert (found, says in err) == (status, True)
    returned = [r for r in log if r["phase"] == "return" and "random-u64" in r["func"]]
    assert len(returned) == calls
    opened = {(r["instance"], r["call"]): r["func"] for r in log if r["phase"] == "call"}
    for record in log:
        if record["phase"] == "return":
            del opened[record["instance"], record["call"]]
    assert last in list(opened.values())[-1]  # it never came back
    assert not [r for r in log if r["phase"] == "lost"]


#: What the page says of each.
PAGE = {row[0]: row[1:] for row in rows("trace.md", "how it ends")}
_HOST, _DISK = "its host is killed", "the disk is full"


def test_the_page_has_them_all() -> None:
    assert set(PAGE) == {*KINDS, _HOST, _DISK} and len(PAGE) == 10


@pytest.mark.parametrize("kind", KINDS)
def test_each_ends_as_the_page_says(trace, kind: str) -> None:
    status, end, said = PAGE[kind]
    found, err = trace(KINDS[kind][0])
    assert found == int(status)
    lines = [line.strip() for line in err.splitlines()]
    log = [line for line in lines if not line.startswith(("whamm-cm: ", "at "))]
    assert log[-len(code(end)) :] == code(end)
    assert all(words in err for words in code(said))
    assert ("whamm-cm: " in err) == bool(code(said)) and "lost" not in err


def test_a_stack_that_ran_over_is_shown_in_a_few_lines(trace) -> None:
    _, err = trace(KINDS["stack overflow"][0])
    frames = [line.strip() for line in err.splitlines() if line.startswith("    at ")]
    assert len(frames) < 5 and re.fullmatch(r"at m!deep \(0x[0-9a-f]+\), \d+ times", frames[0])


@pytest.mark.parametrize("kind", ["unreachable late", "stack overflow", "in a drop"])
def test_a_summary_counts_what_never_returned(trace, kind: str) -> None:
    _, err = trace(KINDS[kind][0], "-c")
    assert "never returned" in err and "0 calls total" not in err


@pytest.mark.parametrize("kind", ["unreachable late", "stack overflow", "out of bounds", "exit"])
def test_counters_survive(trace, kind: str) -> None:
    _, err = trace(KINDS[kind][0], "--count", "*random*#*")
    assert f"get-random-u64: {CALLS} calls" in err


def test_what_several_instances_had_is_read_from_the_relay_and_from_each(
    trace, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The inner component has sent nothing yet when the outer one traps."""
    text = f"""(component {RANDOM}
      (component $inner (import "r" (func $r (result u64))) (core func $l (canon lower (func $r)))
        (core module $m (import "h" "r" (func $r (result i64)))
          (func (export "twice") (drop (call $r)) (drop (call $r))))
        (core instance $i (instantiate $m (with "h" (instance (export "r" (func $l))))))
        (func (export "twice") (canon lift (core func $i "twice"))))
      (instance $c (instantiate $inner (with "r" (func $r "get-random-u64"))))
      (core func $t (canon lower (func $c "twice")))
      (core module $m (import "h" "t" (func $t))
        (func (export "run") (result i32) (local $i i32)
          (loop $a (call $t) (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $a (i32.lt_u (local.get $i) (i32.const 100)))) unreachable))
      (core instance $i (instantiate $m (with "h" (instance (export "t" (func $t))))))
      (func $run (result (result)) (canon lift (core func $i "run")))
      (instance $x (export "run" (func $run)))
      (export "wasi:cli/run@0.2.0" (instance $x)))"""
    _, err = trace(text, "-f", "jsonl")
    log = records(err)
    assert len([r for r in log if r["phase"] == "return" and "random" in r["func"]]) == 200
    assert len({r["instance"] for r in log if "instance" in r}) == 2


# --- scripts -------------------------------------------------------------------------------------

COUNT = "report var n: u32; wasm:opcode:call:before { n++; }"


def test_a_monitor_counts_up_to_an_unreachable(trace) -> None:
    _, err = trace(KINDS["unreachable late"][0], "-e", COUNT)
    assert f"n  {CALLS}\n" in err and "lost" not in err


@pytest.mark.parametrize("kind", ["stack overflow", "out of bounds"])
def test_what_a_monitor_did_not_report_is_said(trace, kind: str) -> None:
    _, err = trace(KINDS[kind][0], "-e", COUNT)
    assert "n  0\n" not in err and "an unknown number of records may be lost" in err


def test_each_sends_every_count(trace) -> None:
    _, err = trace(KINDS["out of bounds"][0], "--flush", "each", "-e", COUNT)
    assert f"n  {CALLS}\n" in err  # at each round of the loop, and before each call


def test_each_counts_up_to_the_call_that_traps(trace) -> None:
    _, err = trace(IN_A_DROP, "--flush", "each", "-m", "icount")
    assert "instructions  7\n" in err
    _, err = trace(IN_A_DROP, "--flush", "each", "-m", "hotness")
    assert [line.split()[0] for line in err.splitlines() if "_wasm:opcode" in line] == [
        *["1"] * 7, *["unknown"] * 2,
    ]  # fmt: skip


def module(body: str) -> str:
    return f"""(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1) (type $f (func)) (table 1 funcref)
      (elem (i32.const 0) func $leave)
      (func $f) (func $leave (call $exit (i32.const 3)))
      (func $deep (call $deep) (drop (i32.load (i32.const 0))))
      (func (export "_start") (local $i i32)
        (loop $a (call $f) (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $a (i32.lt_u (local.get $i) (i32.const 100)))) {body}))"""


@pytest.mark.parametrize(
    ("body", "calls", "status"),
    [
        ("unreachable", 100, 134),
        ("(drop (i32.load (i32.const -4)))", 100, 134),
        ("(call $leave)", 102, 3),
        ("(call_indirect (type $f) (i32.const 0))", 101, 3),
    ],
)
@pytest.mark.parametrize("more", [(), ("--interval", "0")])
def test_a_module_is_asked_when_it_is_dead(
    trace, body: str, calls: int, status: int, more: tuple[str, ...]
) -> None:
    found, err = trace(module(body), "-e", COUNT, *more)
    assert found == status
    assert f"n  {calls}\n" in err and "lost" not in err


def test_a_module_whose_stack_ran_over_is_asked_too(trace) -> None:
    found, err = trace(module("(call $deep)"), "-e", COUNT)
    assert found == 134 and "lost" not in err
    assert int(err.partition("n  ")[2].split()[0]) > 1000


def test_the_report_comes_once_behind_the_probes_of_the_last_instruction(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "app.wasm"
    path.write_bytes(bytes(wat2wasm(module("(call $leave)"))))
    script = (
        'var c: u32; wasm:opcode:call:before { c++; } wasm:func:exit { print("out {}", c); }'
        ' wasm:end { print("end {}", c); } wasm:report { print("calls {}", c); }'
    )
    for compat in ((), ("--compat", "whamm")):
        assert main(["trace", *compat, "-e", script, str(path)]) == 3
        captured = capfd.readouterr()
        lines = (captured.out if compat else captured.err).splitlines()
        printed = [line for line in lines if line.endswith(" 102")]
        assert printed == ["out 102", "end 102", "calls 102"]
        assert not any(line.startswith(("end", "calls")) for line in lines if line not in printed)


# --- what needs a process of its own -------------------------------------------------------------


def started(tmp_path: Path, text: str, *options: str) -> subprocess.Popen[bytes]:
    path = tmp_path / "app.wasm"
    path.write_bytes(bytes(wat2wasm(text)))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"}
    pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    words = [sys.executable, "-m", "whamm_cm", "trace", *options, str(path)]
    return subprocess.Popen(words, env=environment, **pipes)


def interrupted(child: subprocess.Popen[bytes], last: bytes) -> str:
    """Interrupt it when stderr shows ``last``; all that came."""
    assert child.stderr is not None
    text = b""
    for line in child.stderr:
        text += line
        if last in line:
            break
    child.send_signal(signal.SIGINT)
    text += child.stderr.read()
    assert child.wait(timeout=60) == 130, text.decode()
    return text.decode()


@pytest.mark.parametrize("flush", ["live", "each"])
def test_an_interrupted_loop_loses_nothing(flush: str, tmp_path: Path) -> None:
    """The first calls show at once; the loop that follows makes none."""
    calls, body = LOOP.replace("300", "9"), "(loop $x (br $x))"
    child = started(tmp_path, command(body, calls=calls), "-f", "jsonl", "--flush", flush)
    log = records(interrupted(child, b"get-random-u64"))
    assert len([r for r in log if r["phase"] == "return"]) == 9
    assert not [r for r in log if r["phase"] == "lost"]
    assert log[-1]["phase"] == "end"  # it had nothing left, which is to be known


def test_a_monitor_of_a_loop_without_end_prints_its_maps(tmp_path: Path) -> None:
    """A count shows while it runs, and what was counted is asked for at the end."""
    body = f"(loop $x (call $f) {LOOP.replace('$a', '$b')} (br $x))"
    text = command(body, "(func $f)")
    child = started(
        tmp_path, text, "--interval", "10ms", "-f", "jsonl", "-e",
        "report var m: map<str, u32>; wasm:func:entry { m[fname]++; }",
    )  # fmt: skip
    found = interrupted(child, b'"value"')
    values = [r["value"] for r in records(found) if r["phase"] == "report"]
    assert values
    assert "unknown" in found


def test_the_host_is_killed(tmp_path: Path) -> None:
    """What had left is there: all but a few milliseconds, and early on all."""
    host = tmp_path / "host.py"
    host.write_text(
        "import os, signal, sys, threading, time\n"
        "from whamm_cm.run.embedded import run_component\n"
        "wasm = open(sys.argv[1], 'rb').read()\n"
        "def kill():\n"
        "    time.sleep(1)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "run_component(wasm, on_start=threading.Thread(target=kill).start)\n"
    )
    path = tmp_path / "app.wasm"
    calls = LOOP.replace("300", "3")
    path.write_bytes(bytes(wat2wasm(command("(loop $x (br $x))", calls=calls))))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    words = [sys.executable, "-m", "whamm_cm", "trace", "--", sys.executable, str(host), str(path)]
    done = subprocess.run(words, env=environment, capture_output=True, timeout=120)
    text = done.stderr.decode()
    assert text.count("get-random-u64() = ") == 3, text
    status, end, _ = PAGE[_HOST]
    assert done.returncode == int(status)
    assert text.splitlines()[-1:] == code(end)


SERVER = f"""(component {RANDOM}
  (core func $l (canon lower (func $r "get-random-u64")))
  (core module $m (import "h" "r" (func $r (result i64)))
    (func (export "serve") (param i32) (result i32) (drop (call $r))
      (if (local.get 0) (then unreachable)) (i32.const 7)))
  (core instance $i (instantiate $m (with "h" (instance (export "r" (func $l))))))
  (func (export "serve") (param "bad" bool) (result u32) (canon lift (core func $i "serve"))))"""


def test_two_of_three_requests_trap(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A fresh instance for each, all into one log, as servers do."""
    path, woven, log = tmp_path / "app.wasm", tmp_path / "woven.wasm", tmp_path / "log"
    path.write_bytes(bytes(wat2wasm(SERVER)))
    words = ["instrument", "--trace", "*", "--lines", "json", "-o", str(woven), str(path)]
    assert main(words) == 0
    script = (
        "import sys\n"
        "from whamm_cm.run.embedded import run_component\n"
        "wasm = open(sys.argv[1], 'rb').read()\n"
        "for bad in ('false', 'true', 'true'):\n"
        "    run_component(wasm, invoke=f'serve({bad})')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with log.open("wb") as file:
        words = [sys.executable, "-c", script, str(woven)]
        subprocess.run(words, env=environment, stderr=file, timeout=120, check=True)
    capfd.readouterr()
    assert main(["report", "-c", str(log)]) == 0
    text = capfd.readouterr().out
    row = next(line.split() for line in text.splitlines() if line.endswith("export serve"))
    assert row[-3] == "3", text
    assert "2 calls never returned" in text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("options", [("-f", "jsonl"), ("-c",), ("-f", "chrome")])
def test_a_full_disk_is_said(trace, options: tuple[str, ...]) -> None:
    status, err = trace(command("", calls=LOOP), *options, "-o", "/dev/full")
    assert status == int(PAGE[_DISK][0])
    (words,) = code(PAGE[_DISK][2])
    assert f"/dev/full {words}" in err


def test_the_log_of_a_trace_that_was_killed_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app, log = tmp_path / "app.wasm", tmp_path / "run.jsonl"
    app.write_bytes(wat2wasm(command("(loop $x (br $x))")))
    words = [sys.executable, "-m", "whamm_cm", "trace", "-o", str(log), str(app)]
    trace = subprocess.Popen(words)
    deadline = time.monotonic() + 60
    while not log.exists() or log.read_bytes().count(b"\n") < 100:
        assert time.monotonic() < deadline and trace.poll() is None
        time.sleep(0.02)
    trace.kill()
    trace.wait(60)
    main(["report", str(log)])
    shown = capsys.readouterr().out
    assert shown.count("get-random-u64") >= 40
    assert "an unknown number of records may be lost" in shown


def test_the_log_of_a_trap_lacks_nothing_later_either(
    trace, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "run.jsonl"
    trace(KINDS["out of bounds"][0], "-o", str(log))
    main(["report", str(log)])
    shown = capfd.readouterr().out
    assert shown.count("get-random-u64") == CALLS and "lost" not in shown

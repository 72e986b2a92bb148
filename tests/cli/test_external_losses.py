"""``trace -- COMMAND``: what nobody counted is no zero."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import wasmtime

from tests.cli.test_crashes import IN_A_DROP, KINDS
from tests.cli.test_external_hosts import program
from tests.hosts import tools
from whamm_cm.cli.main import main
from whamm_cm.front.woven import runs_once

UNSEEN = "an unknown number of records may be lost: nothing of the component was seen"
#: 300 calls, then a loop without end.
LOOP = """
(component
  (import "wasi:random/random@0.2.0" (instance $r (export "get-random-u64" (func (result u64)))))
  (core func $l (canon lower (func $r "get-random-u64")))
  (core module $m (import "h" "r" (func $r (result i64)))
    (func (export "run") (result i32) (local $i i32)
      (loop $a (drop (call $r)) (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $a (i32.lt_u (local.get $i) (i32.const 300))))
      (loop $x (br $x)) (i32.const 0)))
  (core instance $i (instantiate $m (with "h" (instance (export "r" (func $l))))))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $x (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $x)))
"""


@pytest.fixture
def loop(tmp_path: Path) -> Path:
    path = tmp_path / "loop.wasm"
    path.write_bytes(wasmtime.wat2wasm(LOOP))
    return path


@pytest.mark.parametrize("status", [0, 1, 137])
def test_a_command_that_does_not_run_it(
    loop: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], status: int
) -> None:
    host = str(program(tmp_path, f"import sys; sys.exit({status})"))
    for words in (["-c"], ["-C"], [], ["-m", "icount"], ["-m", "icount", "--compat", "whamm"]):
        assert main(["trace", *words, "--", host, str(loop)]) == status
        out, err = capfd.readouterr()
        assert UNSEEN in err + out and "0 total" not in " ".join(err.split())
        assert "instructions  0" not in err
        if "icount" in words and len(words) == 2:
            assert "instructions  unknown\n" in err


def test_files_say_it_and_one_sentence_on_stderr(
    loop: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    host, out = str(program(tmp_path, "")), tmp_path / "out"
    words = ["trace", "-m", "icount", "-o", str(out)]

    def text(form: str) -> str:
        assert main([*words, "-f", form, "--", host, str(loop)]) == 0
        assert capfd.readouterr().err.count(UNSEEN) == 1
        return out.read_text()

    document = json.loads(text("json"))
    assert (document["lost"], document["why"]) == ("unknown", ["unseen"])
    assert [(c["value"], c["unknown"]) for c in document["cells"]] == [(None, True)]
    assert [row["value"] for row in csv.DictReader(text("csv").splitlines())] == ["unknown"]
    assert json.loads(text("jsonl")) == {
        "v": 2, "phase": "lost", "lost": "unknown", "why": "unseen",
    }  # fmt: skip


def test_where_nothing_is_woven_nothing_can_be_seen(
    loop: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    host = str(program(tmp_path, ""))
    assert main(["trace", "-e", "trace=a:b/c", "--", host, str(loop)]) == 0
    assert "was lost" not in capfd.readouterr().err


def stopped(tmp_path: Path, loop: Path, ready: str, *options: str) -> str:
    """What is said when wasmtime is interrupted once ``ready`` is in what it wrote."""
    (wasmtime_cli,) = tools.need("wasmtime")
    # Between us and the host: passes everything on, and stops the host when it has said enough.
    tee = program(
        tmp_path,
        "import os, signal, subprocess, sys\n"
        "child = subprocess.Popen(sys.argv[1:], stderr=subprocess.PIPE)\n"
        "lines = 0\n"
        "for line in child.stderr:\n"
        "    sys.stderr.buffer.write(line)\n"
        "    lines += b'WCM2.' in line\n"
        f"    if lines == {ready}: child.send_signal(signal.SIGINT)\n"
        "sys.stderr.flush()\n"
        "child.wait()\n"
        "signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
        "os.kill(os.getpid(), signal.SIGINT)\n",
    )
    command = [sys.executable, "-m", "whamm_cm", "trace", *options, "--", str(tee), wasmtime_cli]
    ended = subprocess.run(
        [*command, "run", str(loop)], capture_output=True, timeout=120, env=dict(os.environ)
    )
    assert ended.returncode == 128 + signal.SIGINT, ended.stderr.decode()
    return ended.stderr.decode()


def test_a_monitor_shows_its_last_report_and_that_it_is_not_all(tmp_path: Path, loop: Path) -> None:
    said = stopped(tmp_path, loop, "2", "-m", "icount")
    assert "an unknown number of records may be lost" in said
    assert "instructions  0\n" not in said and "instructions  " in said


def run_by_wasmtime(app: Path, text: str, *words: str) -> tuple[int, str]:
    (wasmtime_cli,) = tools.need("wasmtime")
    app.write_bytes(wasmtime.wat2wasm(text))
    command = [sys.executable, "-m", "whamm_cm", "trace", *words, "--", wasmtime_cli, "run"]
    ended = subprocess.run([*command, str(app)], capture_output=True, timeout=120)
    return ended.returncode, ended.stderr.decode()


FAILED = "may be lost: the command ended with an error"


def test_what_was_counted_before_a_trap_of_the_host_is_not_all(tmp_path: Path) -> None:
    app = tmp_path / "child.wasm"
    for words in (("-m", "icount"), ("-m", "hotness"), ("--count", "*")):
        status, err = run_by_wasmtime(app, IN_A_DROP, *words)
        assert status == 1 and FAILED in err
        assert not re.search(r"^ +0 .*_wasm:opcode", err, re.MULTILINE)
    assert UNSEEN in err


def test_each_call_is_counted_where_the_host_traps(tmp_path: Path) -> None:
    words = ("--count", "*", "--flush", "each")
    status, err = run_by_wasmtime(tmp_path / "child.wasm", IN_A_DROP, *words)
    assert status == 1 and "output-stream.drop: 1 call ---" in err and FAILED in err


@pytest.mark.parametrize("kind", ["unreachable early", "unreachable late", "exit"])
def test_a_guest_that_ended_by_itself_has_said_all(tmp_path: Path, kind: str) -> None:
    for words in (("--count", "*"), ("-m", "icount"), ("-m", "hotness")):
        status, err = run_by_wasmtime(tmp_path / "app.wasm", KINDS[kind][0], *words)
        assert status in (1, 134) and "lost" not in err
        assert not re.search(r"^ *unknown|places: unknown|instructions  unknown", err, re.MULTILINE)


def test_one_that_had_a_start_may_have_gone_on(tmp_path: Path) -> None:
    text = KINDS["unreachable late"][0]
    assert runs_once(bytes(wasmtime.wat2wasm(text)))
    assert not runs_once(bytes(wasmtime.wat2wasm(text.replace("(core module $m", "(core module $s"
        " (func $f) (start $f)) (core module $m", 1))))  # fmt: skip
    module = '(module (func (export "_start")) {})'
    assert runs_once(bytes(wasmtime.wat2wasm(module.format(""))))
    for more in ('(func (export "f"))', "(func $f) (start $f)"):
        assert not runs_once(bytes(wasmtime.wat2wasm(module.format(more))))


def test_a_summary_of_calls_that_stay_open(tmp_path: Path, loop: Path) -> None:
    said = stopped(tmp_path, loop, "12", "-c")
    assert "never returned" in said and "an unknown number of records may be lost" in said


def test_a_summary_and_another_format_are_two_things(
    loop: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    host, out = str(program(tmp_path, "")), tmp_path / "x.jsonl"
    words = ["-o", str(out), "-f", "jsonl", "--", host, str(loop)]
    assert main(["trace", "-c", *words]) == 2
    assert "-C for both" in capfd.readouterr().err and not out.exists()
    assert main(["trace", "-C", *words]) == 0
    assert UNSEEN in capfd.readouterr().err and '"lost":"unknown"' in out.read_text()
    assert main(["trace", "-c", "-f", "summary", "--", host, str(loop)]) == 0

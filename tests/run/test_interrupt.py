"""Ctrl-C and its kin, with real signals to a real process."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.run.guests import ROOT

Start = Callable[..., subprocess.Popen[bytes]]

# Runs a fixture, reports the outcome, and stays usable afterwards: flushing is the caller's job.
SCRIPT = """
import sys, time
from wasmtime import wat2wasm
from whamm_cm.run.embedded import run_component
fixture, word = sys.argv[1:3]
wasm = bytes(wat2wasm(open(fixture).read()))
options = {"invoke": word} if word.endswith(")") else {"args": ["guest", word]}
if "send" in word:
    def emit(block):
        print("block", flush=True)
        time.sleep(0.05)
        return 1
    options["emit"] = emit
print("start", flush=True)
began = time.monotonic()
outcome = run_component(wasm, cache=False, **options)
print(outcome.status, outcome.interrupted, outcome.abandoned, outcome.trap is not None)
print("flushed", flush=True)
sys.exit(outcome.status)
"""


def _interrupted(
    start: Start, fixture: str, word: str, number: int = signal.SIGINT
) -> tuple[int, list[str], bytes]:
    child = start(SCRIPT, str(ROOT / "fixtures" / "wat" / f"{fixture}.wat"), word)
    assert child.stdout is not None
    assert child.stdout.readline() == b"start\n"
    time.sleep(0.3)
    child.send_signal(number)
    assert child.stderr is not None
    out, err = child.stdout.read(), child.stderr.read()  # stdin stays open meanwhile
    child.communicate(timeout=60)
    return child.returncode, out.decode().splitlines(), err


@pytest.mark.parametrize(
    ("fixture", "word", "abandoned"),
    [
        ("run_command", "b", False),
        ("run_command", "s", True),
        ("run_command", "i", True),
        ("run_exports", "never()", False),
    ],
    ids=["busy loop", "sleeping in the host", "reading stdin", "busy loop in an async export"],
)
def test_sigint_stops_the_guest_and_returns(
    python: Start, fixture: str, word: str, abandoned: bool
) -> None:
    status, out, err = _interrupted(python, fixture, word)
    assert status == 130
    assert out == [f"130 True {abandoned} {not abandoned}", "flushed"]
    assert err == b""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_other_signals_do_the_same(python: Start, number: int, status: int) -> None:
    code, out, err = _interrupted(python, "run_command", "b", number)
    assert (code, out[-1], err) == (status, "flushed", b"")


def test_blocks_of_an_interrupted_guest_arrive_before_the_end(python: Start) -> None:
    status, out, err = _interrupted(python, "run_sink", "send(1000000)")
    assert status == 130
    assert out[-2:] == ["130 True False True", "flushed"]
    assert 1 <= out.count("block") < 1000
    assert err == b""


def test_an_ignored_signal_stays_ignored(python: Start) -> None:
    script = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + SCRIPT
    child = python(script, str(ROOT / "fixtures" / "wat" / "run_command.wat"), "i")
    assert child.stdout is not None
    assert child.stdout.readline() == b"start\n"
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(b"still here", timeout=60)
    assert child.returncode == 0
    assert out.startswith(b"still here")


def test_a_handler_of_the_callers_that_raises(python: Start) -> None:
    """Only default handlers are replaced; KeyboardInterrupt out of another one works as well."""
    handler = "def stop(number, frame): raise KeyboardInterrupt\n"
    script = f"import signal\n{handler}signal.signal(signal.SIGINT, stop)\n{SCRIPT}"
    child = python(script, str(ROOT / "fixtures" / "wat" / "run_command.wat"), "b")
    assert child.stdout is not None
    assert child.stdout.readline() == b"start\n"
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out, err) == (130, b"130 True False True\nflushed\n", b"")

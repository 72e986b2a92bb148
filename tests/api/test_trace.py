"""``trace``: a run in this process, paired calls, what was said, and several runs at once."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from wasmtime import wat2wasm

import whamm_cm
from fixtures.build import build
from tests.run.guests import assemble
from whamm_cm.trace.records import Record

COMMAND = build("command")
ADDER = bytes(
    wat2wasm(
        "(module $adder (func $f (param i32 i32) (result i32) (i32.add (local.get 0)"
        ' (local.get 1))) (func (export "add") (param i32 i32) (result i32)'
        " (call $f (local.get 0) (local.get 1))))"
    )
)
COUNT = "wasm:opcode:call:before { report var calls: u32; calls++; }"


def load(data: bytes, name: str = "app.wasm") -> whamm_cm.Component:
    app = whamm_cm.load(data, name)
    assert isinstance(app, whamm_cm.Component)
    return app


@pytest.fixture(scope="module")
def command() -> whamm_cm.Run:
    return load(COMMAND, "dir/command.wasm").trace(env={"TOKEN": "s3cret"})


def test_how_it_ended_and_what_it_said(command: whamm_cm.Run) -> None:
    assert command.status == 0 and command.trap is None and not command.interrupted
    assert command.stdout is not None and command.stdout.startswith(b"greeting: hello\n")
    assert command.stderr == b"" and command.warnings == () and not command.lost


def test_calls_are_paired_typed_and_nested(command: whamm_cm.Run) -> None:
    run = command.calls[0]
    assert (run.site.edge, run.site.item, run.depth) == ("export", "wasi:cli/run#run", 0)
    assert run.result == {"ok": None} and not run.failed
    arguments = next(c for c in command.calls if c.site.func == "get-arguments")
    assert arguments.result == ["command.wasm"]
    assert arguments.parent == 0 and arguments.depth == 1
    assert arguments.dur_ns is not None and arguments.start_ns is not None
    (variables,) = (c.result for c in command.calls if c.site.func == "get-environment")
    assert variables == [["TOKEN", {"~redacted": 6}]]


def test_arguments_and_a_status_of_its_own() -> None:
    run = load(COMMAND, "command.wasm").trace(args=["fail", "no-such-host.invalid:1"])
    (arguments,) = (c.result for c in run.calls if c.site.func == "get-arguments")
    assert arguments == ["command.wasm", "fail", "no-such-host.invalid:1"]
    assert run.status == 1 and run.trap is None


def test_secrets_are_shown_on_request_only() -> None:
    run = load(COMMAND).trace(env={"TOKEN": "s3cret"}, show_secrets=True)
    (variables,) = (c.result for c in run.calls if c.site.func == "get-environment")
    assert variables == [["TOKEN", "s3cret"]]


def test_without_a_word_it_is_everything_and_with_one_it_is_that() -> None:
    app = load(COMMAND)
    assert {c.site.interface for c in app.trace(trace="%random").calls} == {"wasi:random/random"}
    counted = app.trace(count="%random")
    assert counted.calls == ()
    assert {site.func: n for site, n in counted.counts.items()}["get-random-u64"] == 2
    assert app.trace(scripts=COUNT).calls == ()


def test_no_clock_is_read_without_times() -> None:
    run = load(COMMAND).trace(timed=False)
    assert all(c.start_ns is None and c.dur_ns is None for c in run.calls)


def test_scripts_report(command: whamm_cm.Run) -> None:
    run = load(COMMAND).trace(scripts=COUNT)
    cells = [cell for cell in run.reports if cell.row.var == "calls"]
    assert cells and sum(cell.value for cell in cells) > 0
    assert command.reports == ()


def test_what_never_fires_is_reported_with_its_initial_value() -> None:
    script = "report var seen: u32 = 7; wasm:opcode:f64.sqrt:before { seen++; }"
    run = load(assemble("strings")).trace(scripts=script, invoke='round("x")')
    (cell,) = run.reports
    assert (cell.row.var, cell.value) == ("seen", 7)
    assert "seen" in run.text("table")


def test_an_export_is_invoked_with_wave() -> None:
    run = load(assemble("strings")).trace(invoke='round("höhe")')
    assert (run.status, run.result, run.value) == (0, '"höhe"', "höhe")
    assert {c.site.edge for c in run.calls} >= {"export", "inner"}


def test_a_trap_is_an_outcome() -> None:
    run = load(assemble("trap")).trace(invoke="unreachable()")
    assert run.status == 134 and run.trap is not None and run.trap.frames


def test_a_core_module_runs_too() -> None:
    module = whamm_cm.load(ADDER, "adder.wasm")
    run = module.trace(scripts=COUNT, invoke="add(40, 2)")
    assert run.value == 42
    assert [cell.value for cell in run.reports] == [1]


def test_directories_stdin_and_network(tmp_path: Path) -> None:
    run = load(COMMAND).trace(dirs=[f"{tmp_path}::/data"])
    assert b"directory: none" not in (run.stdout or b"") and list(tmp_path.iterdir())
    with pytest.raises(whamm_cm.UsageError, match="expected HOST or HOST::GUEST"):
        load(COMMAND).trace(dirs=["::/data"])
    other = tmp_path / "other"
    other.mkdir()
    load(COMMAND).trace(dirs=[whamm_cm.Dir(str(other), "/data", read_only=True)])
    assert list(other.iterdir()) == []


def test_what_cannot_be_run_is_a_run_error() -> None:
    with pytest.raises(whamm_cm.RunError):
        load(assemble("strings")).trace()  # it is no command
    for wrong in ("nosuch()", "round(1)", "round("):
        with pytest.raises(whamm_cm.UsageError):
            load(assemble("strings")).trace(invoke=wrong)


def test_records_come_one_by_one_and_need_not_be_kept() -> None:
    seen: list[Record] = []
    run = load(COMMAND).trace(on_record=seen.append, keep=False)
    assert run.records == () and [r["phase"] for r in seen][0] == "start"
    whole: list[Record] = []
    kept = load(COMMAND).trace(on_record=whole.append)
    assert kept.records == tuple(whole) and len(whole) == len(seen)


def test_what_on_record_raises_ends_the_run() -> None:
    class Enough(Exception):
        pass

    def stop(record: Record) -> None:
        raise Enough

    with pytest.raises(Enough):
        load(COMMAND).trace(on_record=stop)


LOOP = bytes(
    wat2wasm(
        '(component (core module $m (func (export "f") (loop $l (br $l))))'
        " (core instance $i (instantiate $m))"
        ' (func (export "f") (canon lift (core func $i "f"))))'
    )
)


def test_a_timeout_stops_the_guest() -> None:
    run = load(LOOP).trace(invoke="f()", timeout=0.2)
    assert run.interrupted and run.status == 124
    assert [c.site.func for c in run.calls] == ["f"] and run.calls[0].outcome.value == "unfinished"


def test_an_interrupt_is_the_callers(tmp_path: Path) -> None:
    """Ctrl-C ends the guest, and is raised; our handlers are left alone."""
    (tmp_path / "loop.wasm").write_bytes(LOOP)
    code = (
        "import _thread, signal, whamm_cm\n"
        "known = signal.getsignal(signal.SIGTERM)\n"
        "def seen(record):\n"
        "    assert signal.getsignal(signal.SIGTERM) is known\n"
        "    if record['phase'] == 'call': _thread.interrupt_main()\n"
        "try:\n"
        "    whamm_cm.load('loop.wasm').trace(invoke='f()', flush='each', on_record=seen)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    words = [sys.executable, "-c", code]
    ran = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (ran.stdout, ran.stderr) == ("interrupted\n", "")


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    app = load(COMMAND)
    app.weave(trace="*", scripts="wasi:nothing/*#*:before { }")
    app.trace(), app.gate("wasi-0.2"), app.wit(), app.capabilities()
    told = capfd.readouterr()
    assert (told.out, told.err) == ("", "")


def test_the_guest_may_use_our_streams(capfd: pytest.CaptureFixture[str]) -> None:
    run = load(COMMAND).trace(capture=False)
    assert run.stdout is None and run.stderr is None
    assert capfd.readouterr().out.startswith("greeting: hello\n")


def test_runs_in_threads_do_not_mix() -> None:
    """As many at once as there are, all started together, with different guests and weaves."""
    jobs = 12
    gate = threading.Barrier(jobs)
    app, strings, adder = load(COMMAND), load(assemble("strings")), whamm_cm.load(ADDER)

    def one(number: int) -> tuple[int, whamm_cm.Run, list[Record]]:
        seen: list[Record] = []
        gate.wait(60)
        if number % 3 == 0:
            run = app.trace(args=[f"job-{number}"], on_record=seen.append)
        elif number % 3 == 1:
            run = strings.trace(invoke=f'round("job-{number}")', on_record=seen.append)
        else:
            run = adder.trace(invoke=f"add({number}, 1)", scripts=COUNT, on_record=seen.append)
        return number, run, seen

    with ThreadPoolExecutor(jobs) as pool:
        for number, run, seen in pool.map(one, range(jobs)):
            assert run.records == tuple(seen)
            text = json.dumps(run.records)
            others = [f'"job-{n}"' for n in range(jobs) if n != number]
            assert not any(other in text for other in others)
            if number % 3 == 0:
                assert f'"job-{number}"' in text and run.stdout is not None
                assert run.stdout.count(b"greeting: hello\n") == 1
            elif number % 3 == 1:
                assert run.value == f"job-{number}" and run.stdout == b""
            else:
                assert run.value == number + 1
                assert [cell.value for cell in run.reports] == [1]
            names = {r["run"] for r in run.records}
            assert len(names) == 1

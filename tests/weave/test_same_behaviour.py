"""Every assertion of our scripts and fixtures comes out the same on original and woven copies."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest

from fixtures.build import build
from fixtures.running import run_command
from tests.agent.harness import NONCE
from tests.wast_driver import Hook, Outcome, compare, run_script
from tests.wast_driver.host import Sink
from tests.wast_driver.runner import PASSED
from tests.weave.host import everything
from tests.weave.scripted import script_plan
from whamm_cm.weave.api import weave
from whamm_cm.weave.plan import Plan, SinkName

ROOT = Path(__file__).parents[2]
SCRIPTS = [
    *sorted((ROOT / "tests" / "wast").glob("*.wast")),
    *sorted(p for p in (ROOT / "fixtures" / "wat").glob("*.wat") if ";;!" in p.read_text()),
]
#: Something at every function, none of which the guest may notice.
SCRIPT = """
    report var calls: map<(str, str), u32>;
    wit:*:*#*:before { calls[(interface, func)]++; print("{} of {}", func, component); trace; }
    wit:*:*#*:after { calls[(func, "done")]++; trace; }"""
PLANS = {
    "host": Plan(trace=everything, sink="host"),
    "none": Plan(trace=everything, sink="none"),
    "counted": Plan(count=everything, sink="host"),
    "scripted": Plan(scripts=script_plan(SCRIPT), sink="host"),
    "each, one memory": Plan(trace=everything, sink="host", flush_each=True, multi_memory=False),
}


@lru_cache
def original(path: Path) -> list[Outcome]:
    return run_script(path)


def weaver(plan: Plan) -> Callable[[bytes], bytes]:
    return lambda data: weave(data, plan).wasm


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_no_assertion_notices_the_weave(path: Path, plan: str) -> None:
    before = original(path)
    assert any(outcome.status == PASSED for outcome in before)
    sink = Sink()
    assert compare(before, run_script(path, Hook(weaver(PLANS[plan])), sink)) == []
    assert bool(sink.blocks) == (plan != "none")


RUNS = [[], ["hello"], ["error"], ["ok"], ["fail"], ["trap"], ["dir"], ["var"], ["in"]]


@pytest.mark.parametrize("sink", ["stderr", "none"])
@pytest.mark.parametrize("args", RUNS, ids=lambda args: args[0] if args else "nothing")
def test_a_command_prints_and_ends_the_same(args: list[str], sink: SinkName) -> None:
    wasm = build("run_command")
    woven = weave(wasm, Plan(trace=everything, sink=sink, flush_each=True, nonce=NONCE)).wasm
    before, after = (run_command(w, ["command", *args], {"A": "b"}) for w in (wasm, woven))
    assert (after.status, after.stdout) == (before.status, before.stdout)
    assert cause(after.trap) == cause(before.trap)
    lines = after.stderr.splitlines(keepends=True)
    assert b"".join(x for x in lines if not x.startswith(b"WCM2.")) == before.stderr
    assert any(x.startswith(b"WCM2.") for x in lines) == (sink == "stderr")


@pytest.mark.parametrize(("args", "status"), [([], 0), (["127.0.0.1:1"], 1), (["nonsense"], 1)])
@pytest.mark.parametrize("sink", ["stderr", "none"])
def test_a_c_command_writes_the_same_files(
    sink: SinkName, args: list[str], status: int, tmp_path: Path
) -> None:
    wasm = build("command")
    found = []
    for name, data in (("a", wasm), ("b", weave(wasm, Plan(trace=everything, sink=sink)).wasm)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "input.txt").write_text("some input\n")
        ended = run_command(data, ["command", *args], {"NAME": "value"}, folder)
        files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
        found.append((ended.status, ended.stdout, files))
    assert found[0] == found[1]
    assert found[0][0] == status and found[0][2]


def cause(trap: str) -> str:
    """Without the backtrace, whose frames the weave adds to."""
    return trap.rpartition("Caused by:")[2].strip()

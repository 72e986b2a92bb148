"""``--sample``: of a request all is recorded or nothing, and as many are as is said."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wasmtime import WasiConfig, wat2wasm

from tests.async_programs.guest import program_text
from tests.async_programs.running import run
from tests.async_programs.shape import Program, programs
from tests.weave import host
from tests.weave.test_async_random import DEFAULT, weaves
from whamm_cm.agent.table import SiteTable
from whamm_cm.front.read import read_log
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.registry import RENDERERS
from whamm_cm.trace.decode import Receiver, Record
from whamm_cm.weave.api import weave
from whamm_cm.weave.plan import Plan
from whamm_cm.wit.classes import SiteSet

EXAMPLES = max(1, int(15 * float(os.environ.get("WHAMM_EXAMPLES", "1"))))
_MASK = (1 << 64) - 1

#: An export that calls its own import twice, and one that makes a handle and drops it.
ALONE = """(component
  (import "say" (func $say (param "n" u32)))
  (core func $say' (canon lower (func $say)))
  (type $r (resource (rep i32)))
  (core func $new (canon resource.new $r))
  (core func $drop (canon resource.drop $r))
  (core module $M
    (import "" "say" (func $say (param i32)))
    (import "" "new" (func $new (param i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (func (export "run") (param i32)
      (call $say (local.get 0)) (call $say (i32.add (local.get 0) (i32.const 1000)))
      (call $drop (call $new (i32.const 7))))
    (func (export "stop") unreachable))
  (core instance $m (instantiate $M (with "" (instance
    (export "say" (func $say')) (export "new" (func $new)) (export "drop" (func $drop))))))
  (func (export "run") (param "n" u32) (canon lift (core func $m "run")))
  (func (export "stop") (canon lift (core func $m "stop"))))"""

#: The root's export is one component's, which calls another's, which the root exports as well.
COMPOSED = """(component
  (component $Callee
    (core module $M (func (export "f") (param i32) (result i32)
      (i32.add (local.get 0) (i32.const 1))))
    (core instance $m (instantiate $M))
    (func (export "f") (param "n" u32) (result u32) (canon lift (core func $m "f"))))
  (component $Caller
    (import "f" (func $f (param "n" u32) (result u32)))
    (core func $f' (canon lower (func $f)))
    (core module $M (import "" "f" (func $f (param i32) (result i32)))
      (func (export "run") (param i32) (result i32)
        (call $f (call $f (local.get 0)))))
    (core instance $m (instantiate $M (with "" (instance (export "f" (func $f'))))))
    (func (export "run") (param "n" u32) (result u32) (canon lift (core func $m "run"))))
  (instance $callee (instantiate $Callee))
  (instance $caller (instantiate $Caller (with "f" (func $callee "f"))))
  (export "run" (func $caller "run"))
  (export "f" (func $callee "f")))"""


def draws(start: int, rate: int) -> Iterator[bool]:
    """SplitMix64, from its author's text: which requests are recorded."""
    state = start
    while True:
        state = (state + 0x9E3779B97F4A7C15) & _MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        z ^= z >> 31
        yield (z >> 32) * rate >> 32 == 0


def wanted(start: int, rate: int, count: int) -> list[int]:
    """The numbers of the requests, from 0, that are recorded."""
    return [n for n, is_in in zip(range(count), draws(start, rate), strict=False) if is_in]


def alone(**plan: Any) -> tuple[host.Guest, host.Sink]:
    say = host.FuncT((("n", host_u32()),), None)
    functions = host.Functions({("", "say"): (say, lambda n: None)})
    woven = weave(host.text(ALONE), Plan(**{"trace": host.everything, "sink": "host", **plan}))
    sink = host.Sink(woven)
    one = plan.get("multi_memory", True)
    return host.Guest(woven.wasm, functions, sink, WasiConfig(), one), sink


def host_u32() -> Any:
    from whamm_cm.wit.types import Prim

    return Prim("u32")


def of_request(records: list[Record]) -> dict[int, list[tuple[str, str]]]:
    """What is recorded of each request of ``ALONE``, by its number: that is its argument."""
    found: dict[int, list[tuple[str, str]]] = defaultdict(list)
    number = -1
    for record in records:
        if record["phase"] in ("start", "end"):
            continue
        if record["phase"] == "call" and record["func"] == "run":
            number = record["args"]["n"]
        found[number].append((record["phase"], record["func"]))
    return dict(found)


WHOLE = [("call", "run"), *[("call", "say"), ("return", "say")] * 2,
         *((phase, func) for func in ("[resource-new]resource", "resource.drop")
           for phase in ("call", "return")),
         ("return", "run")]  # fmt: skip


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("multi_memory", [False, True])
@pytest.mark.parametrize("rate", [2, 5, 100])
def test_a_request_is_recorded_whole_or_not_at_all(
    rate: int, multi_memory: bool, timed: bool
) -> None:
    plan = {"timed": timed, "multi_memory": multi_memory, "sample": rate, "sample_start": 42}
    guest, sink = alone(**plan)
    for number in range(300):
        guest.call("run", number)
    found = of_request(sink.records)
    assert list(found) == wanted(42, rate, 300)
    assert all(parts == WHOLE for parts in found.values())


def test_counters_and_scripts_see_all() -> None:
    def is_say(edge: str, interface: str, version: str | None, func: str) -> bool:
        return func == "say"

    def is_run(edge: str, interface: str, version: str | None, func: str) -> bool:
        return func == "run"

    guest, sink = alone(trace=is_run, count=is_say, sample=10, sample_start=1)
    for number in range(50):
        guest.call("run", number)
    counted = sum(r["count"] for r in sink.records if r["phase"] == "report")
    assert counted == 100
    calls = [r["args"]["n"] for r in sink.records if r["phase"] == "call"]
    assert calls == wanted(1, 10, 50)


def test_the_log_says_the_rate() -> None:
    guest, sink = alone(sample=3, sample_start=0)
    for number in range(30):
        guest.call("run", number)
    receiver = Receiver(SiteTable.parse(sink.woven.table))
    receiver.begin(1)
    records = [r for block in sink.blocks for r in receiver.receive(block).records]
    assert [r["sample"] for r in records if r["phase"] == "start"] == [3]
    shown = "".join(RENDERERS["summary"].render(iter(records), RenderOptions()))
    assert "\none request in 3 is in here: " in shown


def test_what_traps_is_not_half_there() -> None:
    """The request before it is over, and its records are out."""
    for start in range(20):
        guest, sink = alone(sample=2, sample_start=start)
        with pytest.raises(host.WasmtimeError):
            guest.call("stop")
        calls = [r["func"] for r in sink.records if r["phase"] == "call"]
        assert calls in ([], ["stop"]) and bool(calls) == bool(wanted(start, 2, 1))


def test_instances_of_their_own_are_sampled_fairly() -> None:
    """A fresh one for each request, as hosts have it: nothing counts on from one to the next."""
    woven = weave(host.text(COMPOSED), Plan(trace=host.everything, sink="host", sample=4))
    recorded = 0
    for _ in range(400):
        sink = host.Sink(woven)
        guest = host.Guest(woven.wasm, None, sink, WasiConfig())
        assert guest.call("run", 5) == 7
        calls = [r for r in sink.records if r["phase"] == "call"]
        assert len(calls) in (0, 5)
        recorded += bool(calls)
    assert 50 < recorded < 160  # 100 ± 7 standard deviations


@pytest.mark.parametrize("timed", [False, True])
def test_components_below_follow(timed: bool) -> None:
    plan = {"timed": timed, "sample": 3, "sample_start": 7, "trace": host.everything}
    woven = weave(host.text(COMPOSED), Plan(sink="host", **plan))
    sink = host.Sink(woven)
    guest = host.Guest(woven.wasm, None, sink, WasiConfig())
    for number in range(60):
        assert guest.call("run", number) == number + 2
    runs = [r["args"]["n"] for r in sink.records if r["phase"] == "call" and r["func"] == "run"]
    assert runs == wanted(7, 3, 60)
    inner = [r["args"]["n"] for r in sink.records if r["phase"] == "call" and r["func"] == "f"]
    # Each is seen where it is made and where it arrives.
    assert sorted(inner) == sorted(n for run_ in runs for n in (run_, run_, run_ + 1, run_ + 1))
    # Called by the host, the same export is a request of its own, which its component draws for.
    sink.records.clear()
    for number in range(60):
        assert guest.call("f", number) == number + 1
    found = [r["args"]["n"] for r in sink.records if r["phase"] == "call"]
    assert found == wanted(7, 3, 60)


def test_all_is_as_it_was_where_all_is_recorded() -> None:
    plan = {"trace": host.everything, "nonce": "abcdefghij23"}
    wasm = host.text(ALONE)
    assert weave(wasm, Plan(**plan)).wasm == weave(wasm, Plan(**plan, sample=1)).wasm
    none = Plan(**plan, sink="none")
    assert weave(wasm, none).wasm == weave(wasm, Plan(**plan, sink="none", sample=9)).wasm


def groups(blocks: list[Any], table: SiteTable) -> dict[tuple[str, int], list[Record]]:
    """What is recorded of each task, by its component and number; calls by the order in it."""
    receiver = Receiver(table)
    found: dict[tuple[str, int], list[Record]] = defaultdict(list)
    calls: dict[tuple[int, int], int] = {}
    for record in (r for block in blocks for r in receiver.receive(block).records):
        if record["phase"] in ("start", "end", "handle"):
            continue
        key = record.get("component", "D"), record.get("task", 0)
        call = calls.setdefault((record["instance"], record["call"]), len(found[key]))
        kept = ("phase", "edge", "func", "args", "result", "data", "cancelled", "pending")
        found[key].append({**{k: record[k] for k in kept if k in record}, "call": call})
    return found


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(programs(), weaves(), st.integers(0, _MASK), st.integers(2, 4))
def test_a_task_is_recorded_whole_or_not_at_all(
    program: Program, wishes: dict[str, Any], start: int, rate: int
) -> None:
    wasm = bytes(wat2wasm(program_text(program)))
    options = {**wishes, "trace": SiteSet.parse(DEFAULT), "sink": "host", "flush_each": True}
    whole, part = (
        weave(wasm, Plan(**options, **more))
        for more in ({}, {"sample": rate, "sample_start": start})
    )
    one = run(whole.wasm, program.runs, lambda *_: None)
    other = run(part.wasm, program.runs, lambda *_: None)
    assert (other.ends, other.journal) == (one.ends, one.journal)
    all_ = groups(one.blocks, SiteTable.parse(whole.table))
    some = groups(other.blocks, SiteTable.parse(part.table))
    for key, records in some.items():
        if key[1]:
            assert records == all_[key], key


@pytest.mark.parametrize("lines", ["packed", "json"])
@pytest.mark.parametrize("seeded", [False, True])
def test_lines_of_the_guest_say_the_rate(tmp_path: Path, lines: str, seeded: bool) -> None:
    """Drawn from the host's random bits: each instance is asked until one is recorded."""
    start = {} if seeded else {"sample_start": 3}
    plan = {"trace": host.everything, "lines": lines, "sample": 2, "nonce": "abcdefghij23"}
    woven = weave(host.text(COMPOSED), Plan(**plan, **start))
    for attempt in range(64):
        log = tmp_path / f"{attempt}.log"
        wasi = WasiConfig()
        wasi.stderr_file = str(log)
        guest = host.Guest(woven.wasm, wasi=wasi)
        assert guest.call("run", 1) == 3
        if log.read_bytes():
            break
    records = read_log(log, woven=woven.wasm).records
    assert sum(one["phase"] == "call" for one in records) == 5
    assert [one["sample"] for one in records if one["phase"] == "start"] == [2]

"""Whose record it is: the identity of runs and the clocks they begin with, on a real engine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from wasmtime import Engine, Linker, Module, Store, WasiConfig

from tests.agent.harness import NONCE
from tests.weave import guests
from tests.weave.host import Guest, everything, text
from tests.weave.scripted import script_plan
from tests.weave.test_nothing_lost import ticks
from tests.weave.test_sinks import faces
from whamm_cm.agent.layout import MAX_LINE
from whamm_cm.agent.table import SiteTable
from whamm_cm.component.decode import decode
from whamm_cm.trace.lines import LineDecoder
from whamm_cm.weave.api import weave
from whamm_cm.weave.plain import weave_module
from whamm_cm.weave.plan import Plan

DAY = 86_400 * 10**9


def logged(path: Path, table: bytes) -> list[dict[str, Any]]:
    decoder = LineDecoder(NONCE, SiteTable.parse(table))
    lines = path.read_bytes().splitlines(keepends=True)
    assert all(len(line) <= MAX_LINE for line in lines)
    records = [record for line in lines for record in decoder.feed(line).records]
    assert not decoder.damaged and decoder.finish() == []
    return records


def run_of(records: list[dict[str, Any]]) -> str:
    (run,) = {record["run"] for record in records}
    assert len(run) == 16 and set(run) <= set("0123456789abcdef")
    return str(run)


@pytest.mark.parametrize("lines", ["packed", "json"])
def test_two_runs_of_one_file_are_told_apart(lines: Any, tmp_path: Path) -> None:
    woven = weave(guests.TICKER, Plan(trace=everything, nonce=NONCE, lines=lines))
    runs = []
    for name in ("a", "b"):
        wasi = WasiConfig()
        wasi.stderr_file = str(tmp_path / name)
        Guest(woven.wasm, ticks(), None, wasi).call("go", 3)
        records = logged(tmp_path / name, woven.table)
        phases = [r["phase"] for r in records]
        assert phases[0] == "start" and phases[-1] == "end"
        calls = [phase for phase in phases if phase not in ("start", "end")]
        assert calls == ["call", *["call", "return"] * 3, "return"]
        runs.append(run_of(records))
    assert runs[0] != runs[1]


@pytest.mark.parametrize("lines", ["packed", "json"])
@pytest.mark.parametrize("timed", [False, True])
def test_a_run_begins_with_its_clocks(timed: bool, lines: Any, tmp_path: Path) -> None:
    woven = weave(guests.TICKER, Plan(trace=everything, nonce=NONCE, lines=lines, timed=timed))
    wasi = WasiConfig()
    wasi.stderr_file = str(tmp_path / "log")
    Guest(woven.wasm, ticks(), None, wasi).call("go", 1)
    first, *records = logged(tmp_path / "log", woven.table)
    assert first["phase"] == "start"
    assert ("wall_ns" in first, "t_ns" in first) == (timed, timed)
    if timed:
        assert abs(first["wall_ns"] - time.time_ns()) < DAY
        assert first["t_ns"] >= records[0]["t_ns"] > 0


KNOWS = """(component
  (import "wasi:random/insecure-seed@0.2.3" (instance $seed
    %s))
  (import "wasi:clocks/wall-clock@0.2.3" (instance $wall
    (type $datetime' (record (field "seconds" u64) (field "nanoseconds" u32)))
    (export "datetime" (type $datetime (eq $datetime')))
    %s))
  (core module $m (func (export "f") (result i32) (i32.const 7)))
  (core instance $i (instantiate $m))
  (func (export "f") (result u32) (canon lift (core func $i "f"))))"""
SEED = '(export "insecure-seed" (func (result (tuple u64 u64))))'
NOW = """(export "now" (func (result $datetime)))
    (export "resolution" (func (result $datetime)))"""


@pytest.mark.parametrize("seed", [SEED, ""])
@pytest.mark.parametrize("now", [NOW, ""])
def test_a_component_that_has_seed_and_clock_keeps_them(
    seed: str, now: str, tmp_path: Path
) -> None:
    wasm = text(KNOWS % (seed, now))
    woven = weave(wasm, Plan(trace=everything, nonce=NONCE, timed=True))
    imports = faces(decode(woven.wasm))[0]
    named = [name for name in imports if "insecure-seed" in name or "wall-clock" in name]
    assert named == ["wasi:random/insecure-seed@0.2.3", "wasi:clocks/wall-clock@0.2.3"]
    wasi = WasiConfig()
    wasi.stderr_file = str(tmp_path / "log")
    assert Guest(woven.wasm, None, None, wasi).call("f") == 7
    first, *_ = logged(tmp_path / "log", woven.table)
    assert abs(first["wall_ns"] - time.time_ns()) < DAY


PLAIN = """(module
  %s
  (memory %s 1) (data (i32.const 0) "never to change, whatever is lent of it")
  (func $work (export "_start") (local i32)
    (loop $l (local.set 0 (i32.add (local.get 0) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get 0) (i32.const 5))))
    (if (i32.ne (i32.load (i32.const 0)) (i32.const 0x6576656e)) (then unreachable))))"""
EXPORTED = '(export "memory")'
FD_CLOSE = '(import "wasi_snapshot_preview1" "fd_close" (func (param i32) (result i32)))'


@pytest.mark.parametrize(
    ("imports", "exported"), [(FD_CLOSE, EXPORTED), ("", EXPORTED), ("", "")],
)  # fmt: skip
def test_runs_of_a_plain_module(imports: str, exported: str, tmp_path: Path) -> None:
    """Where the module knows WASI it has random bits of it; where it does not, it asks for none."""
    script = script_plan("wasm:opcode:br_if:before { report var n: u32; n++; }")
    plan = Plan(sink="stderr", nonce=NONCE, scripts=script)
    woven = weave_module(text(PLAIN % (imports, exported)), plan)
    runs = []
    for name in ("a", "b"):
        engine = Engine()
        store, linker, wasi = Store(engine), Linker(engine), WasiConfig()
        wasi.stderr_file = str(tmp_path / name)
        store.set_wasi(wasi)
        linker.define_wasi()
        module = Module(engine, woven.wasm)
        asked = [each.name for each in module.imports]
        assert ("random_get" in asked) == bool(imports)
        linker.instantiate(store, module).exports(store)["_start"](store)
        records = logged(tmp_path / name, woven.table)
        assert [r["value"] for r in records if r["phase"] == "report"] == [5]
        runs.append(run_of(records))
    assert (runs[0] != runs[1]) == bool(imports)

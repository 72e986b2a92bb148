"""Counting in globals and counting in the script's memory give the same reports."""

from __future__ import annotations

from pathlib import Path

import pytest
import wasmtime

from tests.lang.monitor_runs import COMMAND, run
from tests.weave.test_counts import EVERYTHING
from whamm_cm.weave.opcodes import emit

TYPES = """
wasm:opcode:i32.add|i32.sub(arg0: i32):before {
    report var a: u8; report var b: i8 = -3; report var c: i16; report var d: u64 = 9;
    report var e: f32 = 1.5; report var g: f64; report var h: bool; report var i: i64;
    report var m: map<i32, u32>; report var s: str; var hidden: u32 = 7;
    hidden++; a++; b = b - 1; c = c - 2; d = d + (hidden as u64); e = e + 0.5; g = g - 0.25; i--;
    m[arg0]++; s = "seen";
    if (arg0 > 2) { h = true; }
}
wasm:opcode:local.get:before { report var down: i32; report var from: u64 = 40; down--; from++; }
"""
SCRIPTS = {"types": ("-e", TYPES)} | {
    name: ("-m", name)
    for name in ("hotness", "branches", "coverage", "calls", "icount", "loops", "memory")
}


@pytest.fixture
def everything(tmp_path: Path) -> Path:
    path = tmp_path / "everything.wasm"
    path.write_bytes(wasmtime.wat2wasm(EVERYTHING))
    return path


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("kind", ["component", "module"])
def test_reports_are_the_same(
    kind: str, script: str, tmp_path: Path, everything: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = COMMAND if kind == "component" else everything
    found = {}
    for cells in (1 << 30, 0):
        monkeypatch.setattr(emit, "MANY_CELLS", cells)
        found[cells] = run(tmp_path, "csv", *SCRIPTS[script], app=app)
    assert found[0] == found[1 << 30]
    values = [line.rpartition(",")[2] for line in found[0].splitlines()]
    assert sum(value not in ("0", "") for value in values) >= (1 if script == "icount" else 3)


@pytest.mark.parametrize("option", ["--flush=each", "--flush=full"])
def test_what_is_sent_while_it_runs_is_the_same(
    option: str, tmp_path: Path, everything: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for cells in (1 << 30, 0):
        monkeypatch.setattr(emit, "MANY_CELLS", cells)
        found.append(run(tmp_path, "csv", "-m", "hotness", option, app=everything))
    assert found[0] == found[1] and found[0].count("\n") > 100

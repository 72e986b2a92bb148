"""Monitor modules for the Wizard engine say what rewritten modules say.

On a stand-in for the engine, whose counts are those of the engine; on the engine itself where
WIZENG names it, and what it said then is kept in ``wizard/*.reports``.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import wasmtime
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from fixtures.build import path_of
from tests.golden import check_golden
from tests.weave import wizard_scripts as scripts
from tests.weave.control_programs import Statement, choices, programs
from tests.weave.interpreter import Stop
from tests.weave.sources import compiled
from tests.weave.stand_in import Monitor, StandIn
from tests.weave.test_counts import EVERYTHING, EXAMPLES, module_of
from tests.weave.throwing_programs import throwing_module
from tests.weave.wizard_oracle import PROGRAMS, WIZENG, assembled, recorded
from whamm_cm.cli.main import main
from whamm_cm.wasm.function import FunctionInfo

NAMES = sorted(path.stem for path in PROGRAMS.glob("*.wat"))
#: The interpreter knows no GC.
KNOWN = [name for name in NAMES if name != "references"]
#: The rest of a block that trapped is counted where code is woven in, for it is counted at once.
TRAPS = ("traps",)
SETS = {"monitors": scripts.MONITORS, **{name: (name,) for name in scripts.SCRIPTS}}
TOGETHER = [(name, kind) for name in KNOWN for kind in SETS]


@pytest.fixture
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "app.wasm"
    path.write_bytes(assembled(PROGRAMS / f"{request.param}.wat"))
    return path


@pytest.mark.parametrize("name", KNOWN)
def test_the_stand_in_executes_what_the_engine_executes(name: str) -> None:
    stand_in = StandIn(assembled(PROGRAMS / f"{name}.wat"), None)
    stand_in.finish()
    first = len(stand_in.module.imported("func"))
    found = dict[str, dict[str, int]]()
    for (fid, opidx), count in stand_in.visited.items():
        info = FunctionInfo(stand_in.module, fid - first)
        found.setdefault(str(fid), {})[str(info.pc(opidx))] = count
    expected = {
        fid: {pc: count for pc, count in places.items() if count}
        for fid, places in recorded(PROGRAMS / f"{name}.wat")["hotness"].items()
    }
    assert found == {fid: places for fid, places in expected.items() if places}


@pytest.mark.parametrize(("app", "kind"), TOGETHER, indirect=["app"])
def test_both_backends_report_the_same(app: Path, kind: str, tmp_path: Path) -> None:
    options = scripts.options(tmp_path, SETS[kind])
    ours = scripts.some(scripts.rows(scripts.reported(tmp_path, app, *options)[0]))
    theirs = scripts.some(scripts.rows(scripts.stood_in(tmp_path, app, *options)))
    assert ours or theirs or kind == "order"
    if app.read_bytes() == assembled(PROGRAMS / "traps.wat"):
        ours, theirs = without_the_trap(ours), without_the_trap(theirs)
    assert theirs == ours


def without_the_trap(rows: scripts.Rows) -> scripts.Rows:
    """Without the function that traps, and totals it is part of."""
    return Counter({
        row: n for row, n in rows.items() if row[8] != "divides" and "divides" not in row[-1]
        and row[0] not in ("icount.mm", "imix.mm")
    })  # fmt: skip


def printed(text: str) -> list[str]:
    lines = (json.loads(line) for line in text.splitlines())
    return [line["text"] for line in lines if line["phase"] == "print"]


@pytest.mark.parametrize("app", [n for n in KNOWN if n not in TRAPS], indirect=True)
@pytest.mark.parametrize("kind", ["order", "values"])
def test_probes_fire_in_the_same_order(app: Path, kind: str, tmp_path: Path) -> None:
    options = scripts.options(tmp_path, (kind,))
    ours = printed(scripts.reported(tmp_path, app, *options, form="jsonl")[0])
    theirs = printed(scripts.stood_in(tmp_path, app, *options, form="jsonl"))
    assert len(ours) > 5 or kind == "values"
    assert theirs == ours


def test_a_module_with_a_bit_of_everything(tmp_path: Path) -> None:
    app = tmp_path / "app.wasm"
    app.write_bytes(wasmtime.wat2wasm(EVERYTHING))
    for names in ((*scripts.MONITORS, "ways"), ("values",)):
        options = scripts.options(tmp_path, names)
        ours = scripts.rows(scripts.reported(tmp_path, app, *options)[0])
        theirs = scripts.rows(scripts.stood_in(tmp_path, app, *options))
        assert scripts.some(theirs) == scripts.some(ours)


LINES = """
report var lines: map<(str, u32), u64>;
wasm:line:src/count.c:* { lines[(func, line)]++; }
wasm:source:*.c:fn *:entry { report var entered: u64; entered++; }
?wasm:source:*.c:fn *:exit { report var left: u64; left++; }
"""


@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_places_of_the_source(level: str, tmp_path: Path) -> None:
    app = compiled(tmp_path, "count.c", level)
    script = tmp_path / "lines.mm"
    script.write_text(LINES)
    options = ("-s", str(script))
    text, _ = scripts.reported(tmp_path, app, "--invoke", "run()", *options)
    ours = scripts.some(scripts.rows(text))
    theirs = scripts.some(scripts.rows(scripts.stood_in(tmp_path, app, *options, export="run")))
    assert len(ours) > 10
    assert theirs == ours


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(programs(), choices())
def test_random_programs(
    tmp_path_factory: pytest.TempPathFactory, program: list[Statement], chosen: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("random")
    app = folder / "app.wasm"
    app.write_bytes(module_of(program, chosen))
    plain = StandIn(app.read_bytes(), None)
    plain.left = 5000
    try:
        plain.run("_start")
    except Stop:
        assume(False)
    options = scripts.options(folder, (*scripts.MONITORS, "ways"))
    ours = scripts.rows(scripts.reported(folder, app, *options)[0])
    theirs = scripts.rows(scripts.stood_in(folder, app, *options))
    assert scripts.some(theirs) == scripts.some(ours)


@settings(max_examples=2 * EXAMPLES, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32))
def test_random_programs_that_throw(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    folder = tmp_path_factory.mktemp("throwing")
    app = folder / "app.wasm"
    app.write_bytes(throwing_module(seed))
    # What is counted one by one is the same where it ends in a trap, too.
    options = scripts.options(folder, ("ways", "loops", "call-graph"))
    ours = scripts.some(scripts.rows(scripts.reported(folder, app, *options)[0]))
    theirs = scripts.some(scripts.rows(scripts.stood_in(folder, app, *options)))
    counted = ("done", "past", "begun")  # with the rest of a block
    both = [
        Counter({row: n for row, n in rows.items() if row[1] not in counted})
        for rows in (ours, theirs)
    ]
    assert both[1] == both[0]


REFUSED = {
    "wasm:func:entry { print(\"{}\", now()); }": "wasm:func:entry:<no-mode> at local.get in f (pc"
    " 1): the Wizard engine gives a monitor no clock",
    "?wasm:func:exit { print(\"{}\", res0); }": "wasm:func:exit:<no-mode> at local.get in f (pc 1):"
    " the Wizard engine does not pass what a function returns",
    "wasm:opcode:i32.add:alt { return 1; }": "wasm:opcode:i32.add:alt at i32.add in f (pc 5): the"
    " Wizard engine cannot replace instructions",
    "wasm:opcode:i32.add:before { arg0 = 1; }": "wasm:opcode:i32.add:before at i32.add in f (pc"
    " 5): the Wizard engine cannot change arg0",
    "wasm:opcode:i32.add:after { report var r: i32; r = res0; }": "wasm:opcode:i32.add:after at"
    " i32.add in f (pc 5): the Wizard engine does not pass res0: the instruction behind it, end,"
    " takes no operand",
    "wasm:opcode:i32.add:after { report var r: i32; r = arg0; }": "wasm:opcode:i32.add:after at"
    " i32.add in f (pc 5): the Wizard engine has no arg0 any more when the instruction is done",
    "wasm:opcode:br:at_target { report var r: i32; r++; }": "wasm:opcode:br:semantic_after at br in"
    " #1 (pc 8): the Wizard engine does not say which branch led to a place",
    "wasm:opcode:i32.add:before { print(\"{}\", read_str(0, 0, 1)); }": "wasm:opcode:i32.add:before"
    " at i32.add in f (pc 5): the Wizard engine does not let a monitor read the program's memory or"
    " tables",
    "wasm:opcode:call_indirect:before { report var r: i32; r = resolved_fid; }": "wasm:opcode:"
    "call_indirect:before at call_indirect in #1 (pc 5): the Wizard engine does not let a monitor"
    " read the program's memory or tables",
    "wasm:opcode:i32.add:before { frame var n: u32; n++; }": "wasm:opcode:i32.add:before at i32.add"
    " in f (pc 5): the Wizard engine has no place in a frame for n",
    "wasm:opcode:i32.add:before { exit(3); }": "wasm:opcode:i32.add:before at i32.add in f (pc 5):"
    " the Wizard engine does not let a monitor end the program, as exit() does",
    "wasm:end { abort(\"no\"); }": "wasm:end:<no-mode>: the Wizard engine does not let a monitor"
    " end the program, as abort() does",
    "wasm:begin { print(\"{}\", now()); }": "wasm:begin:<no-mode>: the Wizard engine gives a"
    " monitor no clock",
    "fn f() -> u64 { return now(); } wasm:func:entry { print(\"{}\", f()); }": "function f: the"
    " Wizard engine gives a monitor no clock",
    "interval:1s { print(\"x\"); }": "interval:1s: the Wizard engine has no beat: nothing fires as"
    " time passes",
    "wasm:tick { print(\"x\"); }": "wasm:tick: the Wizard engine has no beat: nothing fires as time"
    " passes",
    "wasm:func:entry { print(\"{}\", src.x); }": "wasm:func:entry:<no-mode>: the Wizard engine does"
    " not let a monitor read variables of the source (src)",
    "wasi:cli/*#*:before { print(\"x\"); }": "wasi:cli/*#*:before: a plain core module has no WIT"
    " boundary to probe",
}  # fmt: skip
#: What the language has besides, at every function of ``squares``.
SAME = {
    "sample": "wasm:func:entry / sample(1/3) / { report var n: u32; n++; }",
    "parameters": "param by = 1; report var n: u32; wasm:func:entry { n += by + $more; }",
    "delete": "report var m: map<u32, u32>;"
    " wasm:func:entry { m[fid]++; if (m[3] > 5) { delete(m[3]); } }",
    "clear": "report var m: map<u32, u32>;"
    " wasm:func:entry { m[fid]++; if (len(m) > 3) { clear(m); } }",
    "aggregations": "report var a: map<str, stats>; report var c: count;"
    " report var l: lhist(0, 9, 3); report var q: quantize;"
    " report var v: avg; report var s: sum; report var x: max;"
    " wasm:func:entry { a[fname] = stats(fid); c = count(); l = lhist(fid, 0, 9, 3);"
    " q = quantize(fid); v = avg(fid); s = sum(fid); x = max(fid); }",
    "matches": "report var m: map<str, u32>; var s: str;"
    ' wasm:func:entry { s = fname; if (s.matches("^s.*e")) { m[s]++; } }',
    "shared": "wasm:func:entry { report shared var n: u32; n++; }",
    "texts": "report var m: map<str, u32>; wasm:func:entry"
    ' { m[format("{:>3}", fid) + fname.upper().slice(0, 3)]++; }',
}  # fmt: skip


@pytest.mark.parametrize("script", SAME)
def test_the_rest_of_the_language_is_the_same(script: str, tmp_path: Path) -> None:
    app = tmp_path / "app.wasm"
    app.write_bytes(path_of("squares").read_bytes())
    more = ("-D", "more=2") if script == "parameters" else ()
    options = ("-e", SAME[script], *more)
    ours = scripts.some(scripts.rows(scripts.reported(tmp_path, app, *options)[0]))
    assert ours
    assert scripts.some(scripts.rows(scripts.stood_in(tmp_path, app, *options))) == ours


REFUSING = """(module (memory 1) (table 1 funcref) (type $v (func))
    (func $f (param i32) (result i32) (i32.add (local.get 0) (local.get 0)))
    (func (export "_start")
        (block (call_indirect (type $v) (i32.const 0)) (br 0)) (drop (call $f (i32.const 1)))))"""


@pytest.mark.parametrize("script", REFUSED)
def test_what_the_engine_cannot_do_is_refused(
    script: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = tmp_path / "app.wasm"
    app.write_bytes(wasmtime.wat2wasm(REFUSING))
    made = tmp_path / "monitor.wasm"
    words = ("instrument", "--engine", "wizard", "-e", script, "-o", str(made), str(app))
    assert main(words) == 2
    assert capsys.readouterr().err == f"whamm-cm: {REFUSED[script]}\n"
    assert not made.exists()


def test_a_monitor_says_that_it_was_made_for_another_module(tmp_path: Path) -> None:
    app, other = tmp_path / "app.wasm", tmp_path / "other.wasm"
    app.write_bytes(assembled(PROGRAMS / "loops.wat"))
    other.write_bytes(assembled(PROGRAMS / "arms.wat"))
    made = scripts.monitor(tmp_path, app, "-m", "hotness")
    log = tmp_path / "log"
    log.write_bytes(StandIn(other.read_bytes(), Monitor(made.read_bytes())).finish())
    output = tmp_path / "out.jsonl"
    words = ("-q", "report", "--woven", str(made), "-f", "jsonl", "-o", str(output), str(log))
    assert main(words) == 0
    said = "this monitor was made for another module, and does not fit the one that ran"
    assert printed(output.read_text()) == [said]


def test_the_same_input_makes_the_same_monitor(tmp_path: Path) -> None:
    app = tmp_path / "app.wasm"
    app.write_bytes(assembled(PROGRAMS / "tables.wat"))
    options = (*scripts.options(tmp_path, ("ways", "values")), "--nonce", "abcdefghij23")
    first = scripts.monitor(tmp_path, app, *options).read_bytes()
    assert scripts.monitor(tmp_path, app, *options).read_bytes() == first
    imports = {(i.module, i.name) for i in wasmtime.Module(_engine(), first).imports}
    assert imports == {("wasi_snapshot_preview1", "fd_write")}


def _engine() -> wasmtime.Engine:
    config = wasmtime.Config()
    config.wasm_multi_memory = True
    return wasmtime.Engine(config)


# --- the engine itself ---------------------------------------------------------------------------


def told(rows: scripts.Rows) -> str:
    """Rows as text, one a line, in order."""
    lines = ["\t".join(row[:4] + row[7:]) for row, n in rows.items() for _ in range(n)]
    return "".join(f"{line}\n" for line in sorted(lines))


ON_THE_ENGINE = (*scripts.MONITORS, "ways", "values")


@pytest.mark.parametrize("app", [n for n in NAMES if n not in TRAPS], indirect=True)
def test_what_the_engine_said_is_what_is_reported_now(
    app: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """``BLESS=1`` with WIZENG asks the engine anew."""
    name = request.node.callspec.params["app"]
    options = scripts.options(tmp_path, ON_THE_ENGINE)
    ours = scripts.some(scripts.rows(scripts.reported(tmp_path, app, *options)[0]))
    if WIZENG is not None:
        wizard = ("--engine", "wizard")
        theirs = scripts.some(scripts.rows(scripts.reported(tmp_path, app, *wizard, *options)[0]))
        check_golden(PROGRAMS / f"{name}.reports", told(theirs))
    assert (PROGRAMS / f"{name}.reports").read_text("utf-8") == told(ours)


@pytest.mark.oracle
@pytest.mark.parametrize("app", TRAPS, indirect=True)
def test_the_engine_counts_up_to_the_trap(app: Path, tmp_path: Path) -> None:
    if WIZENG is None:
        pytest.skip("WIZENG names no Wizard engine")
    options = scripts.options(tmp_path, ("hotness",))
    text, status = scripts.reported(tmp_path, app, "--engine", "wizard", *options)
    assert status == 255
    found = {(row[7], row[9]): int(row[-1]) for row in scripts.some(scripts.rows(text))}
    executed = recorded(PROGRAMS / "traps.wat")["hotness"]
    assert found == {
        (fid, pc): n for fid, places in executed.items() for pc, n in places.items() if n
    }

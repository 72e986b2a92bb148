"""The harness for whamm's suites, on a suite of our own in the same form: what whamm does with
each of these scripts is known, and all of it must be done here with ``--compat whamm``."""

from __future__ import annotations

from pathlib import Path

import pytest
import wasmtime

from tests.corpus_whamm import EQUAL, REASONS, UNKNOWN, Table, main, run

HEAD = """
================================= REPORT CSV FLUSH ====================================
id, id_type, name, whamm_type, wasm_type, script_id, fname, fid, pc, probe_id, value(s)
"""
APPS = {
    # Two calls, of functions with parameters of four types.
    "calls": """(module (memory 1) (data (i32.const 0) "abc")
      (func $add (param i32 i64 i32) (result i32) (i32.add (local.get 0) (local.get 2)))
      (func $mul (param f32 f64)
        (local.set 0 (f32.mul (local.get 0) (f32.const 2)))
        (local.set 1 (f64.mul (local.get 1) (f64.const 2))))
      (func (export "_start")
        (drop (call $add (i32.const 1) (i64.const 2) (i32.const 3)))
        (call $mul (f32.const 0.5) (f64.const 1.5))))""",
    "loop": """(module (func (export "_start") (local i32)
      (loop $l (local.set 0 (i32.add (local.get 0) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get 0) (i32.const 3))))))""",
}
#: Name → (app, script, what whamm prints, or an error of it where that begins with "!").
GOLDENS = {
    "order/declared": (
        "calls",
        "wasm:opcode:drop:before { report var a: u32 = mem_size(APP_MEMID); report var b: u32;\n"
        "b++; report var c: u32 = mem_size(APP_MEMID); }",
        HEAD
        + "4, memaddr, a, u32, i32, script0, #2, 2, 9, 0_wasm:opcode:drop:before, 1\n"
        + "36, memaddr, b, u32, i32, script0, #2, 2, 9, 0_wasm:opcode:drop:before, 1\n"
        + "68, memaddr, c, u32, i32, script0, #2, 2, 9, 0_wasm:opcode:drop:before, 1\n",
    ),
    "order/probes": (
        "loop",
        "wasm:opcode:loop:before { report var m: map<i32, i32>; m[1] = 2; report var a: i32;\n"
        "a = m[1]; } wasm:opcode:loop:before { report var b: i32; b++; }",
        HEAD
        + "4, memaddr, a, i32, i32, script0, #0, 0, 3, 0_wasm:opcode:loop:before, 2\n"
        + "4, memaddr, b, i32, i32, script0, #0, 0, 3, 1_wasm:opcode:loop:before, 1\n"
        + "4, memaddr, m, map<i32,i32>, i32, script0, #0, 0, 3, 0_wasm:opcode:loop:before, 1->2\n",
    ),
    "strings/lines": (
        "calls",
        'report var s: str; wasm:opcode:drop:before { s = "one\\ntwo"; }',
        HEAD + "(3; 4), (global_id; global_id), s, str, (i32; i32), script0, , , , , one\ntwo\n",
    ),
    "alt/loop": (
        "loop",
        "report var a: u32; report var b: u32; report var c: u32;\n"
        "wasm:opcode:loop:alt { a++; } wasm:opcode:loop:after { b++; }\n"
        "wasm:opcode:loop:entry { c++; }",
        HEAD
        + "1, global_id, a, u32, i32, script0, , , , , 1\n"
        + "2, global_id, b, u32, i32, script0, , , , , 0\n"
        + "3, global_id, c, u32, i32, script0, , , , , 0\n",
    ),
    "generics/sites": (
        "calls",
        "wasm:opcode:local.set<T: numeric>(arg0: T):before / arg0 > 0 / {\n"
        "report var x: T; x = arg0 + 1; }",
        HEAD
        + "4, memaddr, x, f32, f32, script0, mul, 1, 9, 0_wasm:opcode:local.set:before, +2e0\n"
        + "36, memaddr, x, f64, f64, script0, mul, 1, 23, 0_wasm:opcode:local.set:before, +4e0\n",
    ),
    "generics/class": (
        "calls",
        "report var n: u32; wasm:opcode:call<T: int>(arg0: T, arg1: i64):before { n++; }\n"
        "wasm:opcode:drop<T: float>(arg0: T):before { n = 9 as u32; }",
        HEAD + "1, global_id, n, u32, i32, script0, , , , , 1\n",
    ),
    "generics/inferred": (
        "calls",
        "wasm:opcode:call<A, B>(arg0: A, arg2: B):before { report var x: B; x = arg2 << 1;\n"
        "report var y: A; y = arg0 - (arg2 as A); }",
        HEAD
        + "4, memaddr, x, i32, i32, script0, #2, 2, 7, 0_wasm:opcode:call:before, 2\n"
        + "36, memaddr, y, i32, i32, script0, #2, 2, 7, 0_wasm:opcode:call:before, 2\n",
    ),
    "generics/contract": (
        "calls",
        "wasm:opcode:call<T: numeric>(arg0: T):before { report var x: T; x = arg0 % 2 << 1; }",
        "!declared `numeric`, but this operation requires `int`",
    ),
    "errors/use": (
        "loop",
        "use whamm_core; use whamm_core; wasm:opcode:loop:before { }",
        "!duplicate definitions with name `whamm_core`",
    ),
    "errors/map": (
        "loop",
        "wasm:opcode:loop:before { report var m: map<u32, i32>; m[1] = 2;\n"
        "report var r: i32 = m[1]; }",
        "!Cannot use the probe-local state to initialize this variable with special scoping",
    ),
}
WAST = """;; A module that another one imports from.
(module (func (export "twice") (param i32) (result i32) (i32.add (local.get 0) (local.get 0))))
(register "lib")

;; @instrument
(module
  (import "lib" "twice" (func $twice (param i32) (result i32)))
  (global $g (mut i32) (i32.const 0))
  (func $thrice (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))
  (func $run (global.set $g (call $twice (i32.const 7))))
  (start $run)
  (func (export "get_g") (result i32) (global.get $g))
  (memory 1))

;; WHAMM --> var count: i32; wasm:opcode:call:before { count++; }
(assert_return (invoke "__whamm_get_count") (i32.const 1))
;; @passes_uninstr
(assert_return (invoke "get_g") (i32.const 14))
;; WHAMM --> wasm:opcode:call:alt { alt_call_by_name("thrice"); }
(assert_return (invoke "get_g") (i32.const 21))
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    apps = tmp_path / "tests" / "apps"
    apps.mkdir(parents=True)
    for name, text in APPS.items():
        (apps / f"{name}.wasm").write_bytes(wasmtime.wat2wasm(text))
    for name, (app, script, expected) in GOLDENS.items():
        golden(tmp_path, name, app, script, expected)
    wast(tmp_path, WAST)
    return tmp_path


def golden(root: Path, name: str, app: str, script: str, expected: str) -> None:
    group, _, stem = name.partition("/")
    folder = root / "tests" / "scripts" / "own_suite" / group
    for part in ("app", "expected/rewriting"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / f"{stem}.mm").write_text(script)
    (folder / "app" / f"{stem}.mm.app").write_text(f"tests/apps/{app}.wasm\n")
    end = "err" if expected.startswith("!") else "exp"
    (folder / "expected" / "rewriting" / f"{stem}.mm.{end}").write_text(expected.lstrip("!"))


def wast(root: Path, text: str) -> None:
    folder = root / "tests" / "wast_suite" / "calls"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "own.wast").write_text(text)


def verdicts(table: Table) -> dict[str, int]:
    return {verdict: count for (_, verdict), count in table.counts.items()}


def test_our_own_suite_is_equal(suite: Path, capfd: pytest.CaptureFixture[str]) -> None:
    status = main([str(suite)])
    out = capfd.readouterr().out
    assert status == 0, out
    assert [line.split() for line in out.splitlines()] == [
        ["own_suite", "wast_suite"],
        [EQUAL, str(len(GOLDENS)), "2"],
    ]


def test_what_differs_is_shown_and_fails(suite: Path, capfd: pytest.CaptureFixture[str]) -> None:
    golden(suite, "wrong/count", "loop", "report var n: u32; wasm:opcode:br_if:before { n++; }",
           HEAD + "3, global_id, n, u32, i32, script0, , , , , 4\n")  # fmt: skip
    golden(suite, "wrong/error", "loop", "wasm:opcode:loop:before { }", "!whamm has no loops")
    wast(suite, WAST.replace("21", "22"))
    assert main(["-k", "wrong", str(suite)]) == 1
    out = capfd.readouterr().out
    assert "    -global_id, n, u32, i32, script0, , , , , 4\n" in out
    assert "    +global_id, n, u32, i32, script0, , , , , 3\n" in out
    assert "    whamm: whamm has no loops\n" in out
    assert verdicts(run(suite, "calls/own")) == {EQUAL: 1, UNKNOWN: 1}
    assert '(assert_return (invoke "get_g") (i32.const 22)): 21' in capfd.readouterr().out


def test_a_known_reason_is_named(suite: Path) -> None:
    golden(suite, "known/vector", "loop", "wasm:opcode:*:before { }",
           "!would match a `V128Const` opcode, but Whamm cannot instrument that yet")  # fmt: skip
    assert verdicts(run(suite, "known")) == {"works here": 1}


def test_no_suite_at_all(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 1
    assert f"no cases in {tmp_path}" in capfd.readouterr().out


def test_the_documentation_explains_every_reason() -> None:
    page = (Path(__file__).parent.parent / "docs" / "whamm.md").read_text("utf-8")
    rows = [line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| ")]
    for reason in REASONS:  # in the table of counts, and in that of reasons
        assert rows.count(reason.name) == 2

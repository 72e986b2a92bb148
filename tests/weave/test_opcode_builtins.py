"""Builtins of scripts at opcodes and at the top of a script, woven and run: memories and what is in
them, tables, bulk memory instructions, printed maps."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wasmtime import Instance, Module, Store, Trap

from tests.wasm.core_samples import engine
from tests.weave.libs import text
from whamm_cm.cli.main import main
from whamm_cm.lang.load import load
from whamm_cm.weave.plain import weave_module
from whamm_cm.weave.plan import Plan, ScriptPlan

EXAMPLES = max(1, int(20 * float(os.environ.get("WHAMM_EXAMPLES", "1"))))
Run = Callable[..., str]
USE = "use whamm_core;\n"


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Weave a script into a module or component in text, run it, answer what the script says."""

    def run(source: str, script: str, *options: str, lib: str = "", expect: int = 0) -> str:
        app, mm, library = tmp_path / "app.wasm", tmp_path / "s.mm", tmp_path / "lib.wasm"
        app.write_bytes(text(source))
        mm.write_text(script, "utf-8")
        more = list(options)
        if lib:
            library.write_bytes(text(lib))
            more += ["--lib", f"lib={library}"]
        code = main(["trace", "-f", "whamm", "-s", str(mm), *more, str(app)])
        found = capfd.readouterr()
        assert code == expect, found.err
        return found.err if "--compat" not in options else found.out

    return run


# --- memories -------------------------------------------------------------------------------------

APP = """(module
  (memory $own 1) (memory $two 2)
  (data (memory $own) (i32.const 8) "hello")
  (data (memory $own) (i32.const 32) "world")
  (data (memory $two) (i32.const 100) "two")
  (func $f (param i32 i32) nop)
  (func (export "_start") (call $f (i32.const 8) (i32.const 5))))"""
LIB = """(module (memory (export "heap") 3) (data (i32.const 16) "library")
  (func (export "at") (result i32) (i32.const 16))
  (func (export "byte") (param i32) (result i32) (i32.load8_u (local.get 0))))"""


def test_memories_are_numbered_program_script_libraries(run: Run) -> None:
    script = """use whamm_core; use lib;
    wasm:opcode:nop:before {
      print("{} {} {}", APP_MEMID, memid(whamm_core), memid(lib));
      print("{} {}", page_size(APP_MEMID), page_size(memid(lib)));
      print("{} {} {}", mem_size(0), mem_size(1), mem_size(memid(lib)));
      print("{}", mem_size(memid(whamm_core)) > 0);
    }"""
    assert run(APP, script, lib=LIB).split() == [
        "0", "2", "3", "65536", "65536", "1", "2", "3", "true",
    ]  # fmt: skip


def test_active_data_of_each_memory(run: Run) -> None:
    script = """wasm:opcode:nop:before {
      print("{} {}", active_data_start(0), active_data_len(0));
      print("{} {}", active_data_start(1), active_data_len(1)); }"""
    assert run(APP, script).split() == ["8", "29", "100", "3"]


def test_strings_of_every_memory_are_read_at_an_opcode(run: Run) -> None:
    script = """use lib;
    wasm:opcode:call(arg0: i32, arg1: i32):before {
      print("{} {} {} {}", read_str(APP_MEMID, arg1, arg0 as u32), read_str(1, 100, 3),
            read_str(memid(lib), lib.at(), 7), read_str(0, 65534, 5).len()); }"""
    assert run(APP, script, lib=LIB).split() == ["hello", "two", "library", "0"]


def test_a_program_without_memory_has_the_scripts_as_number_0(run: Run) -> None:
    script = """use whamm_core; var s: str = "abc";
    wasm:opcode:nop:before {
      var copy: i32 = whamm_core.mem_alloc(3);
      memcpy(0, s.addr(), memid(whamm_core), copy as u32, s.len());
      print("{} {} {}", memid(whamm_core), read_str(0, copy, 3), page_size(APP_MEMID)); }"""
    source = '(module (func (export "_start") nop))'
    assert run(source, script).split() == ["0", "abc", "65536"]


def test_writing_stays_inside_and_is_seen_by_the_program(run: Run) -> None:
    source = """(module (memory 1) (func $seen (param i32))
      (func (export "_start") nop (call $seen (i32.load8_u (i32.const 4)))))"""
    script = """wasm:opcode:nop:before { write_str(0, 4, "A"); write_str(0, 65535, "no"); }
    wasm:opcode:call(arg0: i32):before { print("{}", arg0); }"""
    assert run(source, script).split() == ["65"]


def test_strcmp_reads_the_programs_memory(run: Run) -> None:
    script = """wasm:opcode:call(arg0: i32, arg1: i32):before
      / strcmp((arg1, arg0), "hello") / {
        print("yes {} {}", strcmp((arg1, arg0), "hellx"), strcontains((arg1, arg0), "ll")); }"""
    assert run(APP, script).split() == ["yes", "false", "true"]


def test_top_level_statements_reach_the_programs_data(run: Run) -> None:
    script = """use whamm_core; use lib;
    var n: u32 = active_data_len(APP_MEMID);
    var p: i32 = whamm_core.mem_alloc(n as i32);
    memcpy(APP_MEMID, active_data_start(APP_MEMID), memid(whamm_core), p as u32, n);
    var theirs: str = read_str(memid(lib), lib.at(), 3);
    fn two() -> str { return read_str(1, 100, 3); }
    wasm:opcode:nop:before {
      unshared var pages: u32 = mem_size(1);
      print("{} {} {} {}", read_str(memid(whamm_core), p + 24, 5), theirs, two(), pages); }"""
    assert run(APP, script, lib=LIB).split() == ["world", "lib", "two", "2"]


def test_custom_page_sizes_and_own_after_imported_ones(run: Run) -> None:
    source = """(module (memory 1) (memory i64 3) (func (export "_start") nop))"""
    script = """wasm:opcode:nop:before { write_str(1, 65536, "far");
      print("{} {}", read_str(1, 65536, 3), mem_size(1)); }"""
    assert run(source, script).split() == ["far", "3"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("var x: u32 = page_size(7);",
         "there is no memory 7: the program has 2, and with those of the script and its libraries"
         " there are 3"),
        ('var m: u32 = 0; m = pc; print("{}", read_str(m, 0, 1));',
         "the number of a memory must be known when weaving"),
    ],
)  # fmt: skip
def test_a_memory_that_cannot_be_told_is_one_sentence(run: Run, body: str, message: str) -> None:
    said = run(APP, f"wasm:opcode:nop:before {{ {body} }}", expect=2)
    assert said.strip() == f"whamm-cm: {message}"


# --- components -----------------------------------------------------------------------------------

COMPONENT = """(component
  (core module $m
    (memory (export "m") 1) (data (i32.const 8) "hello")
    (func (export "go") (result i32) nop
      (memory.copy (i32.const 40) (i32.const 8) (i32.const 5)) (i32.const 1)))
  (core instance $i (instantiate $m))
  (func (export "go") (result u32) (canon lift (core func $i "go"))))"""


def test_code_in_components_reaches_its_memory_the_scripts_and_a_librarys(run: Run) -> None:
    script = """use whamm_core; use lib;
    wasm:opcode:nop:before {
      print("{} {}", read_str(0, 8, 5), read_str(memid(lib), lib.at(), 3)); }
    wasm:opcode:memory.copy:before {
      var p: i32 = whamm_core.mem_alloc(arg0);
      dup_at(memid(whamm_core), p as u32);
      print("{} {}", read_str(memid(whamm_core), p, arg0 as u32), mem_size(memid(lib))); }"""
    said = run(COMPONENT, script, "--invoke", "go()", lib=LIB)
    assert said.split()[:4] == ["hello", "lib", "hello", "3"]


def test_the_top_of_a_script_does_not_reach_a_components_memory(run: Run) -> None:
    script = """var s: str = read_str(APP_MEMID, 8, 5);
    wasm:opcode:nop:before { print("{}", s); }"""
    said = run(COMPONENT, script, "--invoke", "go()", expect=2)
    assert said.startswith("whamm-cm: outside of probes in its code a script cannot reach")


# --- bulk memory ----------------------------------------------------------------------------------

BULK = """(module (memory 1) (memory $two 1)
  (data (i32.const 8) "source") (data $later "later")
  (func (export "_start")
    (memory.copy (i32.const 64) (i32.const 8) (i32.const 6))
    (memory.init $later (i32.const 96) (i32.const 1) (i32.const 3))
    (memory.fill (i32.const 128) (i32.const 120) (i32.const 4))))"""


def test_dup_at_does_the_same_on_another_memory(run: Run) -> None:
    script = (
        USE
        + """wasm:opcode:memory.copy|memory.init|memory.fill:before {
      var p: i32 = whamm_core.mem_alloc(arg0);
      dup_at(memid(whamm_core), p as u32);
      dup_at(1, 16);
      print("{} {}",
            read_str(memid(whamm_core), p, arg0 as u32), read_str(1, 16, arg0 as u32)); }"""
    )
    assert run(BULK, script).split() == ["source"] * 2 + ["ate"] * 2 + ["xxxx"] * 2


def test_dup_at_out_of_bounds_does_nothing(run: Run) -> None:
    script = """wasm:opcode:memory.copy|memory.init|memory.fill:before {
      dup_at(1, 65534); print("{}", read_str(1, 65534, 2)); }"""
    assert run(BULK, script) == "\\u{0}\\u{0}\n" * 3  # a script's text is shown printable


# --- tables ---------------------------------------------------------------------------------------

TABLES = """(module
  (type $r (func (result i32)))
  (global $g i32 (i32.const 2))
  (table $t 4 funcref) (table $other 2 funcref (ref.func $b))
  (elem (table $t) (i32.const 0) func $a $b)
  (elem (table $t) (global.get $g) funcref (ref.func $c) (ref.null func))
  (elem $p func $c $a)
  (func $a (result i32) i32.const 1)
  (func $b (result i32) i32.const 2)
  (func $c (result i32) i32.const 3)
  (func $call (param i32) (local.get 0) (call_indirect (type $r)) (drop))
  (func (export "_start") %s))"""
RESOLVED = """wasm:opcode:call_indirect:before { print("{}", resolved_fid); }"""


def calls(*indices: int) -> str:
    return " ".join(f"(call $call (i32.const {index}))" for index in indices)


@pytest.mark.parametrize(
    ("code", "then", "known"),
    [
        ("", (0, 1, 2), (0, 1, 2)),
        ("(table.set $t (i32.const 3) (ref.func $a))", (3,), (0,)),
        ("(table.set $t (i32.const 3) (table.get $t (i32.const 0)))", (3,), (-1,)),
        ("(table.init $t $p (i32.const 2) (i32.const 0) (i32.const 2))", (2, 3), (2, 0)),
        ("(table.copy $t $other (i32.const 0) (i32.const 0) (i32.const 1))", (0,), (1,)),
        ("(table.copy $t $t (i32.const 1) (i32.const 0) (i32.const 3))", (1, 2, 3), (0, 1, 2)),
        ("(table.copy $t $t (i32.const 0) (i32.const 1) (i32.const 2))", (0, 1), (1, 2)),
        ("(drop (table.grow $t (ref.func $c) (i32.const 3)))", (0, 4, 6), (0, 2, 2)),
        ("(drop (table.grow $t (ref.null func) (i32.const 3)))"
         " (table.set $t (i32.const 6) (ref.func $b))", (6,), (1,)),
        ("(table.fill $t (i32.const 2) (ref.func $a) (i32.const 2))", (3, 2), (0, 0)),
        ("(elem.drop $p) (table.init $t $p (i32.const 2) (i32.const 0) (i32.const 0))", (2,), (2,)),
    ],
)  # fmt: skip
def test_what_is_in_a_table(
    run: Run, code: str, then: tuple[int, ...], known: tuple[int, ...]
) -> None:
    said = run(TABLES % (code + calls(*then)), RESOLVED)
    assert tuple(map(int, said.split())) == known


@pytest.mark.parametrize(
    "code",
    [
        "(table.init $t $p (i32.const 3) (i32.const 0) (i32.const 2))",
        "(elem.drop $p) (table.init $t $p (i32.const 0) (i32.const 0) (i32.const 1))",
        "(table.fill $t (i32.const 0) (ref.func $b) (i32.const 9))",
        "(table.copy $t $t (i32.const 3) (i32.const 0) (i32.const -1))",
        "(table.set $t (i32.const 4) (ref.func $a))",
    ],
)
def test_an_instruction_that_traps_changes_nothing(code: str) -> None:
    source = (
        TABLES[:-1] % ""
        + f"""(func (export "break") {code})
      (func (export "go") (param i32) (call $call (local.get 0))))"""
    )
    script = "var last: i32; wasm:opcode:call_indirect:before { last = resolved_fid; }"
    plan = Plan(sink="none", scripts=ScriptPlan(load([("s", script)])))
    store = Store(engine())
    module = Module(store.engine, weave_module(text(source), plan).wasm)
    exports = Instance(store, module, []).exports(store)
    with pytest.raises(Trap):
        exports["break"](store)
    for index in range(3):
        exports["go"](store, index)
        assert exports["get_last"](store) == index


_NUMBER = st.integers(0, 7)
_OF = st.sampled_from("abc").map(lambda name: f"(ref.func ${name})") | st.just("(ref.null func)")
_OPERATION = st.one_of(
    st.builds("(table.set $t (i32.const {}) {})".format, _NUMBER, _OF),
    st.builds("(table.fill $t (i32.const {}) {} (i32.const {}))".format, _NUMBER, _OF, _NUMBER),
    st.builds("(drop (table.grow $t {} (i32.const {})))".format, _OF, st.integers(0, 2)),
    st.builds(
        "(table.{} (i32.const {}) (i32.const {}) (i32.const {}))".format,
        st.sampled_from(("init $t $p", "copy $t $t", "copy $t $other", "copy $other $t")),
        *[_NUMBER] * 3,
    ),
    st.just("(elem.drop $p)"),
)


@settings(max_examples=EXAMPLES)
@given(st.lists(_OPERATION, min_size=1, max_size=12))
def test_what_is_known_of_a_table_is_true(operations: list[str]) -> None:
    """Whatever a program does with its table: the probe knows which function is called next."""
    steps = "".join(f'(func (export "{i}") {code})' for i, code in enumerate(operations))
    go = """(func (export "go") (param i32) (result i32)
      (call_indirect (type $r) (local.get 0)))"""
    script = "var last: i32; wasm:opcode:call_indirect:before { last = resolved_fid; }"
    plan = Plan(sink="none", scripts=ScriptPlan(load([("s", script)])))
    store = Store(engine())
    woven = weave_module(text(TABLES[:-1] % "" + f"{steps} {go})"), plan).wasm
    exports = Instance(store, Module(store.engine, woven), []).exports(store)
    for i in range(len(operations)):
        with suppress(Trap):
            exports[str(i)](store)
        for index in range(9):
            called = 0  # nothing
            with suppress(Trap):
                called = exports["go"](store, index)
            assert exports["get_last"](store) == called - 1, (operations[: i + 1], index)


def test_as_whamm_knows_tables(run: Run) -> None:
    code = """(table.init $t $p (i32.const 2) (i32.const 0) (i32.const 2))
      (table.fill $t (i32.const 0) (ref.func $c) (i32.const 1))""" + calls(2, 0, 1)
    assert run(TABLES % code, RESOLVED, "--compat", "whamm").split() == ["-1", "-1", "1"]


def test_an_index_beyond_the_table_is_unknown_and_its_reference_null(run: Run) -> None:
    script = (
        USE
        + """wasm:opcode:table.get:before {
      print("{} {} {} {}", table_entry_idx, resolve_funcref(target_funcref, 9),
            resolve_funcref(target_funcref, table_entry_idx), resolved_fid); }"""
    )
    assert run(TABLES % "(drop (table.get $t (i32.const 1)))", script).split() == [
        "1", "-1", "1", "1",
    ]  # fmt: skip


def test_tables_of_64_bits_and_of_typed_references(run: Run) -> None:
    source = """(module (type $r (func (result i32)))
      (table $t i64 2 (ref null $r)) (elem (table $t) (i64.const 1) (ref $r) (ref.func $a))
      (func $a (type $r) (i32.const 7))
      (func (export "_start")
        (table.set $t (i64.const 0) (ref.func $a))
        (drop (call_indirect $t (type $r) (i64.const 0)))
        (drop (call_indirect $t (type $r) (i64.const 1)))))"""
    script = """wasm:opcode:call_indirect:before {
      print("{}", resolve_funcref(target_funcref, 1)); }"""
    assert run(source, script).split() == ["0", "0"]


def test_each_instance_has_its_own_shadow(run: Run) -> None:
    source = """(component
      (core module $m
        (type $r (func (result i32))) (table $t 1 funcref) (elem (i32.const 0) func $a)
        (func $a (result i32) (i32.const 5)) (func $b (result i32) (i32.const 6))
        (elem declare func $b)
        (func (export "set") (table.set (i32.const 0) (ref.func $b)))
        (func (export "go") (result i32) (call_indirect (type $r) (i32.const 0))))
      (core instance $x (instantiate $m)) (core instance $y (instantiate $m))
      (core module $both (import "x" "set" (func $set))
        (import "x" "go" (func $x (result i32))) (import "y" "go" (func $y (result i32)))
        (func (export "go") (result i32) (call $set) (i32.add (call $x) (call $y))))
      (core instance $z (instantiate $both (with "x" (instance $x)) (with "y" (instance $y))))
      (func (export "go") (result u32) (canon lift (core func $z "go"))))"""
    assert run(source, RESOLVED, "--invoke", "go()").split()[:2] == ["1", "0"]


# --- printed maps ---------------------------------------------------------------------------------

MAPS = """use whamm_core;
var b: map<(u32, bool), u32>;
var a: map<u32, i32>;
var which: i32;
wasm:opcode:nop:before { %s }"""
NOP = '(module (func (export "_start") nop))'


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ("a[2] = -1; a[1] = 5; whamm_core.print_map(a.id());", "1->5;2->-1"),
        ("b[(1, true)] = 5; whamm_core.print_map_as_csv(1);",
         "== map1 CSV FLUSH ==\nkey ((i32,bool)), val (i32)\n(1,true), 5\n"),
        ("whamm_core.print_map_as_csv(b.id());", "== map1 CSV FLUSH ==\nempty map"),
        ("whamm_core.print_map_as_csv(0);",
         "== map0 CSV FLUSH ==\nkey (i32), val (i32)\nempty map"),
        ("b[(3, false)] = 1; which = b.id(); whamm_core.print_map(which);", "(3,false)->1"),
        ("whamm_core.putf32(-1.5); whamm_core.puti32(a.id() + b.id());", "-1.5e01"),
    ],
)  # fmt: skip
def test_maps_are_printed_by_number_in_order_of_their_names(
    run: Run, code: str, printed: str
) -> None:
    assert run(NOP, MAPS % code) == printed


def test_a_map_that_is_not_there(run: Run) -> None:
    said = run(NOP, MAPS % "whamm_core.print_map(2);", expect=2)
    assert "there is no map 2" in said and "0 (a) or 1 (b)" in said

"""Libraries as definitions of a component: core modules beside the script unit, and components
nested in it whose functions are lowered onto the state memory."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wasmtime import Func, Instance, Memory, Module, Store

from fixtures.build import build as fixture
from tests.wasm.core_samples import engine
from tests.weave.libs import (
    FAKE_STATE,
    WASI,
    component_library,
    component_with,
    module_library,
    real_state,
    shown_scripts,
    text,
)
from whamm_cm.component.check import check
from whamm_cm.component.decode import decode
from whamm_cm.component.encode import encode
from whamm_cm.component.ir import Component
from whamm_cm.emit.libglue import build_glue
from whamm_cm.errors import InputError, WeaveError
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.library import LibFunction
from whamm_cm.lang.load import load
from whamm_cm.run.embedded import run_component
from whamm_cm.wasm.link import Part, link
from whamm_cm.weave.libraries import core_type, load_library

MAX = 16384


def called(component: Component, invocation: str) -> str | None:
    assert check(component) == []
    outcome = run_component(encode(component), invoke=invocation, cache=False)
    assert outcome.trap is None, outcome.trap
    return outcome.result


# --- core modules ---------------------------------------------------------------------------------


def test_a_core_module_stands_beside_the_unit() -> None:
    library = module_library(
        """(memory (export "memory") 1) (global $n (mut i32) (i32.const 0))
        (func (export "_initialize") (global.set $n (i32.const 100)))
        (func (export "count") (param i32) (result i32)
          (global.set $n (i32.add (global.get $n) (local.get 0)))
          (i32.store (i32.const 4) (global.get $n)) (global.get $n))"""
    )
    unit = """
      (import "lib" "count" (func $count (param i32) (result i32)))
      (import "lib" "memory" (memory 1))
      (func (export "twice") (param i32) (result i32)
        (drop (call $count (local.get 0))) (drop (call $count (local.get 0)))
        (i32.load (i32.const 4)))"""
    component = component_with(library, unit, [("twice", ["u32"], "u32")])
    assert called(component, "twice(5)") == "110"


def test_its_text_is_printed_by_the_state_instance() -> None:
    library = module_library(
        f"""(import "{WASI}" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 0) "\\10\\00\\00\\00\\05\\00\\00\\00")
        (data (i32.const 16) "hello")
        (func (export "hello")
          (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8))))"""
    )
    unit = """
      (import "lib" "hello" (func $hello)) (import "state" "memory" (memory 1))
      (func (export "hello") (result i32) (call $hello)
        (i32.store (i32.const 8) (i32.const 1024)) (i32.store (i32.const 12) (i32.const 6))
        (i32.const 8))"""
    component = component_with(library, unit, [("hello", [], "string")], state=FAKE_STATE)
    assert called(component, "hello()") == '"\\u{3}hello"'


# --- components -----------------------------------------------------------------------------------

_LIBC = """
  (memory (export "memory") 4) (global $at (mut i32) (i32.const 1024))
  (func $realloc (export "realloc") (param i32 i32 i32 i32) (result i32)
    (global.get $at)
    (global.set $at (i32.and (i32.const -8)
      (i32.add (global.get $at) (i32.add (local.get 3) (i32.const 7))))))"""
SCALARS = component_library(
    """(core module $m
      (func (export "bool") (param i32) (result i32) (i32.eqz (local.get 0)))
      (func (export "small") (param i32 i32) (result i32) (i32.sub (local.get 0) (local.get 1)))
      (func (export "wide") (param i64 f32 f64) (result f64)
        (f64.add (f64.add (f64.convert_i64_u (local.get 0)) (f64.promote_f32 (local.get 1)))
          (local.get 2)))
      (func (export "next") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
      (func (export "nothing")))
    (core instance $m (instantiate $m))
    (func (export "turn-it") (param "b" bool) (result bool) (canon lift (core func $m "bool")))
    (func (export "small") (param "a" s8) (param "b" u16) (result s8)
      (canon lift (core func $m "small")))
    (func (export "wide") (param "a" u64) (param "b" f32) (param "c" f64) (result f64)
      (canon lift (core func $m "wide")))
    (func (export "next") (param "c" char) (result char) (canon lift (core func $m "next")))
    (func (export "nothing") (canon lift (core func $m "nothing")))
    (func (export "pair") (param "p" (tuple s8 u16)) (result s8)
      (canon lift (core func $m "small")))"""
)


def test_functions_over_plain_wit_types_become_script_functions() -> None:
    assert SCALARS.kind == "component"
    assert SCALARS.signature.functions == {
        "turn_it": LibFunction((vt.BOOL,), vt.BOOL),
        "small": LibFunction((vt.I8, vt.U16), vt.I8),
        "wide": LibFunction((vt.U64, vt.F32, vt.F64), vt.F64),
        "next": LibFunction((vt.U32,), vt.U32),
        "nothing": LibFunction((), vt.UNIT),
    }
    assert not SCALARS.signature.has_memory


def test_scalars_pass_as_core_values() -> None:
    unit = """
      (import "lib" "turn_it" (func $turn (param i32) (result i32)))
      (import "lib" "small" (func $small (param i32 i32) (result i32)))
      (import "lib" "wide" (func $wide (param i64 f32 f64) (result f64)))
      (import "lib" "next" (func $next (param i32) (result i32)))
      (import "lib" "nothing" (func $nothing))
      (func (export "turn") (param i32) (result i32) (call $nothing) (call $turn (local.get 0)))
      (func (export "small") (param i32 i32) (result i32)
        (call $small (local.get 0) (local.get 1)))
      (func (export "wide") (param i64 f32 f64) (result f64)
        (call $wide (local.get 0) (local.get 1) (local.get 2)))
      (func (export "next") (param i32) (result i32) (call $next (local.get 0)))"""
    functions = [
        ("turn", ["bool"], "bool"), ("small", ["s32", "s32"], "s32"),
        ("wide", ["u64", "f32", "f64"], "f64"), ("next", ["u32"], "u32"),
    ]  # fmt: skip
    component = component_with(SCALARS, unit, functions)
    assert called(component, "turn(false)") == "true"
    assert called(component, "small(-3, 4)") == "-7"
    assert called(component, f"wide({2**63}, 0.5, 0.25)") == str(2.0**63)
    assert called(component, "next(97)") == "98"
    # No characters: they would trap when lifted, so they become U+FFFD first.
    assert called(component, f"next({0xD800})") == str(0xFFFE)
    assert called(component, f"next({2**32 - 1})") == str(0xFFFE)
    assert called(component, f"next({0x10FFFE})") == str(0x10FFFF)


TEXTS = component_library(
    f"""(core module $m {_LIBC}
      (func (export "twice") (param i32 i32) (result i32) (local $to i32)
        (local.set $to
          (call $realloc (i32.const 0) (i32.const 0) (i32.const 1)
            (i32.mul (i32.const 2) (local.get 1))))
        (memory.copy (local.get $to) (local.get 0) (local.get 1))
        (memory.copy (i32.add (local.get $to) (local.get 1)) (local.get 0) (local.get 1))
        (i32.store (i32.const 0) (local.get $to))
        (i32.store (i32.const 4) (i32.mul (i32.const 2) (local.get 1)))
        (i32.const 0))
      (func (export "size") (param i32 i32 i32) (result i32)
        (i32.add (local.get 1) (local.get 2)))
      (func (export "reset") (param i32) (global.set $at (i32.const 1024))))
    (core instance $m (instantiate $m))
    (func $twice (param "s" string) (result string) (canon lift (core func $m "twice")
      (memory $m "memory") (realloc (func $m "realloc")) (post-return (func $m "reset"))))
    (func $size (param "s" string) (param "more" u32) (result u32)
      (canon lift (core func $m "size") (memory $m "memory") (realloc (func $m "realloc"))))
    (component $face
      (import "twice" (func $twice (param "s" string) (result string)))
      (export "twice" (func $twice)))
    (instance $face (instantiate $face (with "twice" (func $twice))))
    (export "whamm:test/texts" (instance $face))
    (export "size" (func $size))"""
)
#: ``twice(n)``: the library's answer for the ``n`` bytes at STATIC.
_CALLER = """
  (import "state" "memory" (memory 1)) (import "state" "state_init" (func $init (param i32)))
  (import "lib" "twice" (func $twice (param i32 i32) (result i32 i32)))
  (import "lib" "size" (func $size (param i32 i32 i32) (result i32)))
  (start $start) (func $start (call $init (i32.const 196608)))
  (func (export "twice") (param $n i32) (result i32) (local i32 i32)
    (call $twice (i32.const 131072) (local.get $n)) (local.set 2) (local.set 1)
    (i32.store (i32.const 8) (local.get 1)) (i32.store (i32.const 12) (local.get 2))
    (i32.const 8))
  (func (export "again") (param $n i32) (result i32) (local $i i32)
    (loop $more
      (call $twice (i32.const 131072) (i32.const 20000)) (drop) (drop)
      (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
        (local.get $n))))
    (memory.size))
  (func (export "size") (param $n i32) (result i32)
    (call $size (i32.const 131072) (local.get $n) (i32.const 1000)))"""


def texts(raw: bytes) -> Component:
    escaped = "".join(f"\\{byte:02x}" for byte in raw)
    unit = f'{_CALLER} (data (i32.const 131072) "{escaped}")'
    functions = [("twice", ["u32"], "string"), ("size", ["u32"], "u32"), ("again", ["u32"], "u32")]
    return component_with(TEXTS, unit, functions)


def test_strings_go_both_ways_and_come_from_an_interface_too() -> None:
    assert core_type(TEXTS.signature.functions["twice"]) == (("i32", "i32"), ("i32", "i32"))
    raw = "wörld ".encode()
    assert called(texts(raw), f"twice({len(raw)})") == '"wörld wörld "'
    assert called(texts(raw), "twice(0)") == '""'
    assert called(texts(raw), "size(7)") == "1007"


def test_broken_text_is_repaired_before_it_would_trap() -> None:
    assert called(texts(b"ok\xff \xe2\x98 \xc3"), "twice(8)") == '"ok? ?? ?ok? ?? ?"'


def test_a_long_result_is_cut_between_characters_and_given_back() -> None:
    raw = "☃".encode() * 6000  # 18,000 bytes, the result 36,000
    component = texts(raw)
    result = called(component, f"twice({len(raw)})")
    assert result == '"' + "☃" * (MAX // 3) + '"'
    assert called(component, "again(2)") == called(component, "again(40)")


# --- the strings of the glue ----------------------------------------------------------------------


class Glue:
    """``clean`` and ``cut`` with the real runtime."""

    def __init__(self) -> None:
        one = """(import "glue" "clean" (func $clean (param i32 i32) (result i32 i32)))
          (import "state" "state_init" (func $init (param i32)))
          (func (export "clean") (param i32 i32) (result i32 i32)
            (call $clean (local.get 0) (local.get 1)))
          (start $start) (func $start (call $init (i32.const 196608)))"""
        unit = [
            Part("unit", text(f"(module {one})"), None, "all"),
            Part("glue", build_glue(), "glue"),
        ]
        self.store = Store(engine())
        module = Module(engine(), link([*unit, *real_state()]))
        exports = Instance(self.store, module, []).exports(self.store)
        memory, func = exports["memory"], exports["clean"]
        assert isinstance(memory, Memory) and isinstance(func, Func)
        self.memory, self.func = memory, func

    def clean(self, raw: bytes) -> tuple[int, bytes]:
        self.memory.write(self.store, raw + b"\x80\x80\x80", 131072)
        at, size = self.func(self.store, 131072, len(raw))
        assert bytes(self.memory.read(self.store, 131072, 131072 + len(raw))) == raw
        return at, bytes(self.memory.read(self.store, at, at + size))


@pytest.fixture(scope="module")
def glue() -> Iterator[Glue]:
    found = Glue()
    yield found
    found.store.close()


_EDGES = st.sampled_from(
    (0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE,
     0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF)
)  # fmt: skip


def repaired(raw: bytes) -> bytes:
    """``?`` for each byte that starts no UTF-8 sequence."""
    out = bytearray()
    at = 0
    while at < len(raw):
        for size in (1, 2, 3, 4):
            try:
                out += raw[at : at + size].decode().encode()
            except UnicodeDecodeError:
                continue
            at += size
            break
        else:
            out += b"?"
            at += 1
    return bytes(out)


@given(st.lists(_EDGES, max_size=12).map(bytes) | st.text(max_size=12).map(str.encode))
def test_what_is_lifted_is_utf8(glue: Glue, raw: bytes) -> None:
    at, cleaned = glue.clean(raw)
    assert cleaned == repaired(raw)
    assert (at == 131072) == (cleaned == raw)


# --- what a library imports -----------------------------------------------------------------------

_CLOCK = """(import "wasi:clocks/monotonic-clock@0.2.{}" (instance $clock {}))"""
_NOW = '(export "now" (func (result u64)))'
WITH_CLOCK = component_library(
    _CLOCK.format(0, _NOW)
    + """(core func $now (canon lower (func $clock "now")))
    (core module $m (import "" "now" (func $now (result i64)))
      (func (export "late") (result i32) (i64.gt_u (call $now) (i64.const 0))))
    (core instance $m (instantiate $m (with "" (instance (export "now" (func $now))))))
    (func (export "late") (result bool) (canon lift (core func $m "late")))"""
)
LATE = """(import "lib" "late" (func $late (result i32)))
  (func (export "late") (result i32) (call $late))"""


def around(version: int, functions: str) -> Component:
    return decode(text(f"(component {_CLOCK.format(version, functions)})"))


def test_wasi_comes_from_the_imports_of_the_original() -> None:
    outside = around(3, _NOW + ' (export "resolution" (func (result u64)))')
    component = component_with(WITH_CLOCK, LATE, [("late", [], "bool")], outside)
    assert called(component, "late()") == "true"


@pytest.mark.parametrize(
    "outside", [Component(()), around(0, '(export "resolution" (func (result u64)))')]
)
def test_what_nobody_imports_cannot_be_given(outside: Component) -> None:
    with pytest.raises(WeaveError) as error:
        component_with(WITH_CLOCK, LATE, [], outside)
    assert str(error.value) == (
        "library lib imports wasi:clocks/monotonic-clock@0.2.0, which the component it is for does"
        " not import, or not all of it; build it without imports (componentize-py: --stub-wasi)"
    )


def test_names_of_imports_are_free_and_right_for_old_hosts() -> None:
    library = component_library(
        """(core module $m (func (export "f"))) (core instance $m (instantiate $m))
        (func (export "f") (canon lift (core func $m "f")))
        (func (export "g") (canon lift (core func $m "f")))""",
        "My_2nd_",
    )
    names = library.import_names()
    assert names == {"f": "whamm-cm-my-l2nd-f0", "g": "whamm-cm-my-l2nd-f1"}
    assert library.import_names(set(names.values()))["g"] == "whamm-cm-my-l2nd-n2-f1"
    assert list(library.only({"g"}).import_names().values()) == ["whamm-cm-my-l2nd-f0"]


def test_a_component_nobody_can_call_is_one_sentence() -> None:
    with pytest.raises(InputError) as error:
        component_library("")
    assert str(error.value) == (
        "lib.wasm exports no function a script could call as library 'lib': parameters and result"
        " are bool, integers, floats, char or string"
    )


# --- the example ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("componentize_py") is None, reason="needs componentize"
)
def test_the_python_cache_simulator_can_be_called() -> None:
    library = load_library("cache", fixture("cache_component"), "cache.wasm")
    assert library.signature.functions == {
        "check_access": LibFunction((vt.U32, vt.U32), vt.U32),
        "hits": LibFunction((), vt.U64),
        "misses": LibFunction((), vt.U64),
        "hit_rate": LibFunction((), vt.F64),
        "summary": LibFunction((vt.STR,), vt.STR),
        "holds": LibFunction((vt.U32,), vt.BOOL),
        "reset": LibFunction((), vt.UNIT),
    }
    scripts = load([("docs", shown_scripts()[1])], {"cache": library.signature})
    assert scripts.libraries == ("cache",) and scripts.probes
    unit = """
      (import "cache" "check_access" (func $check (param i32 i32) (result i32)))
      (import "cache" "summary" (func $summary (param i32 i32) (result i32 i32)))
      (import "state" "memory" (memory 1)) (data (i32.const 131072) "L1")
      (func (export "go") (result i32) (local i32 i32)
        (drop (call $check (i32.const 60) (i32.const 8)))
        (drop (call $check (i32.const 64) (i32.const 4)))
        (call $summary (i32.const 131072) (i32.const 2)) (local.set 1) (local.set 0)
        (i32.store (i32.const 8) (local.get 0)) (i32.store (i32.const 12) (local.get 1))
        (i32.const 8))"""
    component = component_with(library, unit, [("go", [], "string")])
    assert called(component, "go()") == '"L1: 1 hits, 2 misses"'

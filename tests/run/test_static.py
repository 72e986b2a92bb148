"""``@static``: library functions called at match time, one instance per library."""

from __future__ import annotations

import importlib.util

import pytest

from fixtures.build import build
from tests.weave.libs import WASI, component_library, module_library
from whamm_cm.errors import InternalError, UsageError
from whamm_cm.run.static import StaticLibraries
from whamm_cm.weave.libraries import load_library

COUNTER = module_library(
    """(global $n (mut i32) (i32.const 0))
    (func (export "_initialize") (global.set $n (i32.const 40)))
    (func (export "next") (result i32)
      (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))
    (func (export "mix") (param i32 i64 f32 f64) (result f64)
      (f64.add (f64.add (f64.convert_i32_s (local.get 0)) (f64.convert_i64_s (local.get 1)))
        (f64.add (f64.promote_f32 (local.get 2)) (local.get 3))))
    (func (export "nothing"))
    (func $deep (param i32) (if (local.get 0) (then unreachable)))
    (func (export "fail") (param i32 f64) (call $deep (local.get 0)))""",
    "counter",
)


def test_a_library_keeps_its_state_from_call_to_call() -> None:
    call = StaticLibraries([COUNTER])
    assert [call("counter", "next", ()) for _ in range(3)] == [41, 42, 43]
    assert call("counter", "nothing", ()) is None
    assert StaticLibraries([COUNTER])("counter", "next", ()) == 41


def test_scalars_go_both_ways() -> None:
    call = StaticLibraries([COUNTER])
    assert call("counter", "mix", (-1, -(2**40), 0.5, 0.25)) == -1 - 2**40 + 0.75


def test_a_trap_names_the_call_and_the_place() -> None:
    call = StaticLibraries([COUNTER])
    call("counter", "fail", (0, 1.5))
    with pytest.raises(UsageError) as error:
        call("counter", "fail", (1, 1.5))
    text = str(error.value)
    assert text.startswith("@static counter.fail(1, 1.5) failed at match time: wasm trap: wasm `")
    assert "unreachable` instruction executed in deep (0x" in text
    assert text.endswith(" of counter.wasm")


def test_a_library_whose_start_traps_is_reported_at_its_first_call() -> None:
    broken = module_library('(func $s unreachable) (start $s) (func (export "f"))', "broken")
    call = StaticLibraries([COUNTER, broken])
    assert call("counter", "next", ()) == 41
    with pytest.raises(UsageError, match=r"@static broken.f\(\) failed at match time: .*unreach"):
        call("broken", "f", ())


def test_what_it_writes_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    library = module_library(
        f"""(import "{WASI}" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 0) "\\10\\00\\00\\00\\0e\\00\\00\\00")
        (data (i32.const 16) "w\\c3\\b6rd and more\\0a")
        (func (export "say")
          (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))"""
    )
    StaticLibraries([library])("lib", "say", ())
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "wörd and more")


COMPONENT = component_library(
    """(core module $m
      (memory (export "memory") 1) (global $n (mut i32) (i32.const 0))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
      (func (export "echo") (param i32 i32) (result i32)
        (i32.store (i32.const 0) (local.get 0)) (i32.store (i32.const 4) (local.get 1))
        (i32.const 0))
      (func (export "next") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
      (func (export "count") (result i32)
        (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))
      (func (export "fail") (param i32 i32) unreachable))
    (core instance $m (instantiate $m))
    (func (export "echo") (param "s" string) (result string)
      (canon lift (core func $m "echo") (memory $m "memory") (realloc (func $m "realloc"))))
    (func (export "fail") (param "s" string)
      (canon lift (core func $m "fail") (memory $m "memory") (realloc (func $m "realloc"))))
    (func $next (param "c" char) (result char) (canon lift (core func $m "next")))
    (func $count (result u8) (canon lift (core func $m "count")))
    (func (export "not") (param "b" bool) (result bool) (canon lift (core func $m "next")))
    (component $face
      (import "next" (func $next (param "c" char) (result char)))
      (import "count" (func $count (result u8)))
      (export "next-char" (func $next)) (export "count" (func $count)))
    (instance $face (instantiate $face (with "next" (func $next)) (with "count" (func $count))))
    (export "whamm:test/more@1.2.0" (instance $face))"""
)


def test_components_take_and_give_strings_and_characters() -> None:
    call = StaticLibraries([COMPONENT])
    assert call("lib", "echo", ("hö ☃",)) == "hö ☃"
    assert call("lib", "echo", ("",)) == ""
    assert call("lib", "next_char", (ord("a"),)) == ord("b")
    assert call("lib", "next_char", (0xDC00,)) == 0xFFFE
    assert call("lib", "not", (True,)) is True
    assert [call("lib", "count", ()) for _ in range(2)] == [1, 2]


def test_a_trap_in_a_component_names_the_call() -> None:
    with pytest.raises(UsageError, match=r'^@static lib.fail\("x"\) failed at match time: .*unrea'):
        StaticLibraries([COMPONENT])("lib", "fail", ("x",))


def test_what_the_checker_let_through_must_be_there() -> None:
    with pytest.raises(InternalError, match=r"counter.gone was checked but is not there"):
        StaticLibraries([COUNTER])("counter", "gone", ())


@pytest.mark.skipif(importlib.util.find_spec("ziglang") is None, reason="needs ziglang")
def test_the_cache_simulator_at_match_time() -> None:
    call = StaticLibraries([load_library("cache", build("cache_sim"), "cache.wasm")])
    assert [call("cache", "check_access", (0x1000, 4)) for _ in range(2)] == [1, 1 << 16]
    assert call("cache", "hit_rate", ()) == 0.5

"""``wasm:func:entry`` and ``exit``: parameters, results and durations of functions of all types."""

from __future__ import annotations

import pytest

from tests.weave.fake_clock import CLOCK, Timed

FACTORIAL = """(func $fac (export "fac") (param i32) (result i64)
    (if (result i64) (i32.eqz (local.get 0)) (then (i64.const 1))
      (else (i64.mul (i64.extend_i32_u (local.get 0))
        (call $fac (i32.sub (local.get 0) (i32.const 1)))))))"""
KINDS = """(func $none (export "none"))
  (func $int (export "int") (param i32 i64) (result i32) local.get 0)
  (func $float (export "float") (param f64) (result f64)
    (if (f64.gt (local.get 0) (f64.const 1)) (then (return (f64.const 0.25)))) local.get 0)
  (func $two (export "two") (param f32) (result i32 f32)
    i64.const 9 i32.const 3 local.get 0 return)
  (func $ref (export "ref") (param externref) (result externref i32) local.get 0 i32.const 5)
  (func $dead (export "dead") (result i32) (block $b (br $b)) i32.const 8 return)"""


def test_one_rule_for_functions_of_all_types() -> None:
    guest = Timed().load(
        CLOCK + KINDS,
        'wasm:func:entry { print("{}({})", fname, param0); }'
        ' wasm:func:exit { print("{} = {}", fname, res0); }'
        ' wasm:func:exit { print("{} also {}", fname, res1); }'
        ' wasm:func:entry / arg0 > 4 / { print("{}: the last is {}", fname, arg0); }',
    )
    assert guest.call("none") is None
    assert guest.call("int", 3, 7) == 3
    assert guest.call("float", 1.0) == 1.0
    assert guest.call("float", 1.5) == 0.25
    assert guest.call("two", 2.5) == [3, 2.5]
    assert guest.call("ref", "it") == ["it", 5]
    assert guest.call("dead") == 8
    assert guest.printed == [
        "int(3)", "int: the last is 7", "int = 3",
        "float(1.0)", "float = 1.0", "float(1.5)", "float = 0.25",
        "two(2.5)", "two = 2.5", "two also 3", "ref = 5", "dead = 8",
    ]  # fmt: skip


def test_what_is_reported_by_functions_of_all_types_is_one_variable() -> None:
    guest = Timed().load(
        CLOCK + KINDS, "wasm:func:exit { report var big: u32; if (res0 >= 1) { big++; } }"
    )
    guest.call("int", 3, 7)
    guest.call("float", 1.5)
    guest.call("two", 2.5)
    rows = [r for r in guest.sink.records if r["phase"] == "report" and r.get("var") == "big"]
    assert {r["probe"] for r in rows} == {"0_wasm:func:exit:<no-mode>"}
    assert {r["fname"]: r["value"] for r in rows} == {"int": 1, "two": 1}


def test_parameters_and_results_can_be_assigned() -> None:
    guest = Timed().load(
        CLOCK + KINDS,
        'wasm:func:entry / fname == "int" / { param0 = 40; }'
        ' wasm:func:exit / fname == "int" / { res0 = res0 + 2; }'
        ' wasm:func:exit / fname == "float" / { res0 = res0 * 2.0; }',
    )
    assert guest.call("int", 3, 7) == 42
    assert guest.call("float", 1.0) == 2.0
    assert guest.call("float", 1.5) == 0.5


@pytest.mark.parametrize("depth", [0, 1, 5])
def test_elapsed_is_that_of_each_activation(depth: int) -> None:
    """The clock goes on by one each time it is read, which is at each entry and each exit: the
    innermost call takes 1, the one around it 3, and so on."""
    guest = Timed().load(
        CLOCK + FACTORIAL, 'wasm:func:exit { print("{} {}", param(res0), elapsed); }'
        .replace("param(res0)", "res0")
    )  # fmt: skip
    guest.call("fac", depth)
    values = [1, 1, 2, 6, 24, 120][: depth + 1]
    assert guest.printed == [f"{n} {2 * k + 1}" for k, n in enumerate(values)]
    assert guest.asked == 2 * (depth + 1)


def test_a_tail_call_ends_the_function_without_a_result() -> None:
    wat = f"""{CLOCK} {FACTORIAL}
    (func (export "tail") (param i32) (result i64) (return_call $fac (local.get 0)))"""
    text = 'wasm:func:exit { print("left {} after {}", fname, elapsed); }'
    guest = Timed().load(wat, text + ' wasm:func:exit { print("{} = {}", fname, res0); }')
    assert guest.call("tail", 0) == 1
    assert guest.printed == ["left  after 1", "left fac after 1", "fac = 1"]


def test_an_exception_is_no_way_out_and_the_next_call_has_its_own_time() -> None:
    wat = f"""{CLOCK} (tag $e)
    (func $f (export "f") (param i32) (result i32)
      (if (local.get 0) (then (throw $e))) i32.const 7)
    (func $g (export "g") (param i32) (result i32)
      (block $h (return (try_table (result i32) (catch $e $h) (call $f (local.get 0)))))
      i32.const 9)"""
    guest = Timed().load(wat, 'wasm:func:exit { print("{} {} {}", fname, res0, elapsed); }')
    assert [guest.call("g", n) for n in (1, 0, 1)] == [9, 7, 9]
    # read at: g1 f2 (thrown) g3 | g4 f5 f6 g7 | g8 f9 g10
    assert guest.printed == ["g 9 2", "f 7 1", "g 7 3", "g 9 2"]


def test_when_the_function_was_entered_is_known_at_its_end() -> None:
    guest = Timed(tick=10).load(CLOCK + KINDS, 'wasm:func:exit { print("{} {}", entered, now()); }')
    guest.call("none")
    guest.call("none")
    assert guest.printed == ["10 20", "30 40"]

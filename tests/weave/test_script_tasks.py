"""Scripts at asynchronous functions: ``after`` where they have really returned, however they do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.weave.async_parts import KINDS, WAYS, both
from tests.weave.host import everything, text
from tests.weave.scripted import Scripted, scripted

WAST = Path(__file__).parents[1] / "wast"
plans = pytest.mark.parametrize(
    "plan", [{}, {"multi_memory": False}, {"trace": everything}], ids=["alone", "one", "traced"]
)


def lines(run: Scripted, component: str) -> list[str]:
    """What was printed in a component of that name."""
    return [line for line in run.printed if line.startswith(f"{component} ")]


AFTER = """
    wit:inner:*#f:before { print("{} calls {}", component, n); }
    wit:inner:*#f:after / result.1 == "abc" / {
        print("{} gets {} {} of {}", component, result.0, result.1, n);
    }
    wit:inner:*#mark:before { print("{} marks", component); }
    wit:export:#run:after { print("D ends with {}", result); }
"""


@plans
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_after_is_when_the_result_is_there(kind: str, way: str, plan: dict[str, Any]) -> None:
    run = scripted(text(both(kind, way)), AFTER, able=True, **plan)
    for _ in range(2):
        run.sink.records.clear()
        assert run.call("run") == 70
        assert lines(run, "C") == ["C calls 7", "C gets 70 abc of 7", "C marks"]
        assert lines(run, "D") == ["D calls 7", "D gets 70 abc of 7", "D marks", "D ends with 70"]
    assert run.woven.added.skipped == []


TIMES = """
    report var late: u32; report var same: u32; report var other: u32;
    var ids: map<(str, u64), u32>;
    wit:inner:*#f:before { ids[(component, call_id)] = 7; }
    wit:inner:*#f:after { if (elapsed > 0) { late++; }
        if (ids[(component, call_id)] == n) { same++; } else { other++; } }
"""


@plans
@pytest.mark.parametrize(("kind", "way"), [("later", "callback"), ("stackful", "wait")])
def test_times_and_numbers_are_those_of_the_call(kind: str, way: str, plan: Any) -> None:
    run = scripted(text(both(kind, way)), TIMES, able=True, timed="trace" in plan, **plan)
    run.call("run")
    run.call("run")
    reported = {name: value for (_, name), value in run.reported.items() if value}
    assert reported == {"late": 2, "same": 2}


NAMED = """(component
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (core func $return (canon task.return))
  (core module $m
    (import "" "return" (func $return))
    (func (export "f") (param i32 i32 f64 i64) (result i32) (call $return) (i32.const 0))
    (func (export "callback") (param i32 i32 i32) (result i32) unreachable)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
  (core instance $m (instantiate $m (with "" (instance (export "return" (func $return))))))
  (func (export "f") async (param "name" string) (param "x" f64) (param "k" s64)
    (canon lift (core func $m "f") async (callback (func $m "callback"))
      (memory $libc "memory") (realloc (func $m "realloc")))))"""


def test_parameters_that_are_a_few_words_are_kept() -> None:
    run = scripted(text(NAMED), 'wit:export:#f:after { print("{} {} {}", x, k, arg2); }')
    run.call("f", "a", 2.5, -3)
    assert run.printed == ["2.5 -3 -3"]


def test_what_lies_in_memory_is_not_there_any_more() -> None:
    run = scripted(text(NAMED), 'wit:export:#f:after { print("{}", name); }')
    run.call("f", "a", 2.5, 3)
    assert run.printed == []
    why = "when an asynchronous call is over, name is not there any more; keep it in a map"
    assert run.woven.added.skipped == [("export #f", f"{why} by call_id, in a before probe")]

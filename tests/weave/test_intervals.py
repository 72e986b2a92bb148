"""``interval:1s`` and ``wasm:tick``: once for each interval in which somebody looks at a clock."""

from __future__ import annotations

import pytest

from tests.weave.fake_clock import CLOCK, Timed
from tests.weave.guests import TICKER
from tests.weave.host import Functions
from tests.weave.scripted import scripted
from whamm_cm.errors import WeaveError
from whamm_cm.wit.types import FuncT, Prim

LOOP = """(func $step (param i32))
  (func (export "go") (param $n i32)
    (loop $again
      (if (local.get $n) (then
        (call $step (local.get $n))
        (local.set $n (i32.sub (local.get $n) (i32.const 1))) (br $again)))))"""
SECOND = 10**9
#: Counts what fires and keeps what the clock said.
SCRIPT = """var n: u32; wasm:func:entry { n++; }
wasm:tick { print("at {}", now()); }
interval:1s { print("second"); }"""


def _expected(times: list[int], length: int) -> int:
    """How often an interval fires, asked at these times: the first begins it."""
    due, fired = times[0] + length, 0
    for time in times[1:]:
        if time >= due:
            fired += 1
            due += ((time - due) // length + 1) * length
    return fired


@pytest.mark.parametrize("step", [SECOND // 10, 4 * SECOND // 10, SECOND, 5 * SECOND // 2])
def test_once_for_each_interval_that_is_seen(step: int) -> None:
    """The clock goes on by ``step`` each time it is read: once by the beat, once by ``now``."""
    guest = Timed(tick=step).load(CLOCK + LOOP, SCRIPT)
    guest.call("go", 3000)
    printed = guest.printed
    # What now() says in a tick is one step behind what the beat has read.
    beats = [int(text.split()[1]) - step for text in printed if text != "second"]
    assert len(beats) > 20
    assert printed.count("second") == _expected(beats, SECOND) > 5


def test_each_interval_has_its_own_length_and_predicate() -> None:
    guest = Timed(tick=SECOND // 4).load(
        CLOCK + LOOP,
        'var n: u32; wasm:func:entry { n++; } wasm:tick { print("tick"); }'
        ' interval:500ms { print("half"); } wasm:interval:2s { print("two"); }'
        ' interval:1m { print("minute"); } interval:1s / n < 1 / { print("never"); }',
    )
    guest.call("go", 2000)
    times = [SECOND // 4 * (k + 1) for k in range(guest.printed.count("tick"))]
    for text, length in (("half", SECOND // 2), ("two", 2 * SECOND), ("minute", 60 * SECOND)):
        assert guest.printed.count(text) == _expected(times, length), text
    assert guest.printed.count("never") == 0


def test_an_interval_needs_a_clock() -> None:
    with pytest.raises(WeaveError, match="an interval needs a clock, and the module has none"):
        Timed().load(LOOP, "wasm:func:entry { } interval:1s { }")


def test_calls_drive_it_where_nothing_else_is_probed() -> None:
    """In a component without probes at instructions: at calls of what is probed."""
    u32 = Prim("u32")
    tick = FuncT((("i", u32),), u32)
    functions = Functions({("", name): (tick, lambda i: i) for name in ("tick", "last")})
    run = scripted(
        TICKER,
        'report var n: u32; wit:import:#tick:before { n++; } wasm:tick { print("{}", n); }'
        ' interval:1ns { print("elapsed"); }',
        functions=functions, timed=True,
    )  # fmt: skip
    run.call("go", 500)
    ticks = [text for text in run.printed if text != "elapsed"]
    assert len(ticks) > 3 and ticks == sorted(ticks, key=int)
    # The real clock goes on between any two looks at it.
    assert run.printed.count("elapsed") == len(ticks) - 1

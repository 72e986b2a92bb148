"""``sample(1/N)``: the first time and every Nth time after, whatever else asks."""

from __future__ import annotations

import pytest

from tests.weave.fake_clock import CLOCK, Timed
from tests.weave.guests import TICKER
from tests.weave.host import Functions
from tests.weave.scripted import scripted
from whamm_cm.wit.types import FuncT, Prim

LOOP = """(func $step (param i32)) (func $other)
  (func (export "go") (param $n i32)
    (loop $again
      (if (local.get $n) (then
        (call $step (local.get $n)) (call $other)
        (local.set $n (i32.sub (local.get $n) (i32.const 1))) (br $again)))))"""


@pytest.mark.parametrize("every", [1, 2, 3, 7, 100, 1000])
def test_every_nth_time_from_the_first_on(every: int) -> None:
    script = (
        'wasm:func:entry(param0: i32) / fname == "step" && sample(1/N) / { print("{}", param0); }'
    )
    guest = Timed().load(CLOCK + LOOP, script.replace("N", str(every)))
    guest.call("go", 100)
    expected = [n for k, n in enumerate(range(100, 0, -1)) if k % every == 0]
    assert guest.printed == [str(n) for n in expected]


def test_each_place_counts_for_itself_and_only_when_it_is_asked() -> None:
    guest = Timed().load(
        CLOCK + LOOP,
        'wasm:func:entry / fname == "step" && sample(1/2) / { print("a"); }'
        ' wasm:func:entry / fname == "other" && sample(1/3) / {'
        ' print("b"); if (sample(1/2)) { print("c"); } }',
    )
    guest.call("go", 6)
    assert guest.printed == ["a", "b", "c", "a", "b", "a"]


def test_at_boundaries_and_in_functions() -> None:
    u32 = Prim("u32")
    tick = FuncT((("i", u32),), u32)
    functions = Functions({("", name): (tick, lambda i: i) for name in ("tick", "last")})
    run = scripted(
        TICKER,
        "param every = 4; fn some() -> bool { return sample(1/every); }"
        ' wit:import:#tick:before / i != 1 && sample(1/3) / { print("{}", i); }'
        ' wit:import:#tick:after / some() / { print("after {}", i); }',
        functions=functions,
    )
    run.call("go", 9)
    assert [text for text in run.printed if "after" not in text] == ["0", "4", "7"]
    assert [text for text in run.printed if "after" in text] == ["after 0", "after 4", "after 8"]

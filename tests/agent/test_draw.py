"""What a script prints of a map or an aggregation is what the table of a report shows."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.agent.scripted import Script
from tests.agent.test_state import AGGS, shown, types, values
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.valtypes import F32, STR, U32, U64
from whamm_cm.render import scripted
from whamm_cm.render.safe import printable
from whamm_cm.render.scripted import mean
from whamm_cm.render.table import _entries

HIST, AVG = vt.AggT("hist"), vt.AggT("avg")
NESTED = [
    vt.MapT(U32, HIST),
    vt.MapT(STR, vt.MapT(U64, vt.AggT("stats"))),
    vt.MapT(STR, vt.MapT(U32, vt.MapT(U32, U32))),
]


def table(t: vt.Type, value: Any) -> list[str]:
    whole = shown(t, value)
    if not scripted.is_map(t):
        return [f"title  {scripted.text(t, whole)}"]
    return ["title", *(line.rstrip() for line in _entries(t, whole, "  "))]


@given(st.data(), types() | st.sampled_from(NESTED))
@example(None, vt.MapT(STR, AVG))
def test_as_the_table_draws_it(data: st.DataObject | None, t: vt.Type) -> None:
    if not isinstance(t, vt.MapT | vt.AggT) or "f32" in str(t):
        return  # a single as JSON has it is not always the shortest text
    value = {"a": [1, 2], "b": [3, 0], "c": [1]} if data is None else data.draw(values(t))
    assume(printable(text := "".join(texts_in(value))) == text)  # what is not is escaped later
    script = Script(t)
    id = script.new(t)
    script.fill(id, t, value)
    assert script.drawn(id, t) == table(t, value)


def texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value.replace(" ", "x") + "."
    elif isinstance(value, dict):
        yield from texts_in([*value.items()])
    elif isinstance(value, list | tuple):
        for each in value:
            yield from texts_in(each)


def test_the_largest_come_first_and_the_others_are_counted() -> None:
    t = vt.MapT(STR, U32)
    script = Script(t)
    id = script.new(t)
    script.fill(id, t, {"one": 1, "ten": 10, "zwölf": 12, "two": 2, "ten more": 10})
    assert script.drawn(id, t, 3) == ["title", "  zwölf     12", "  ten       10",
                                      "  ten more  10", "  (2 others)"]  # fmt: skip
    assert script.drawn(id, t, 4)[-1] == "  (1 other)"
    assert len(script.drawn(id, t, 5)) == 6 and len(script.drawn(id, t, 0)) == 2
    assert script.drawn(0, t) == ["title", "  (empty)"]


@pytest.mark.parametrize("t", AGGS, ids=str)
def test_what_has_no_sample(t: vt.AggT) -> None:
    script = Script(t)
    for id in (0, script.new(t)):
        assert script.drawn(id, t) == table(t, [])


@given(st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-(10**7), 10**7), st.integers(1, 10**6))
@example(9999995, 10)
@example(1, 3 * 10**5)
@example(-(1 << 63), 1)
@example(123456500, 1000)
def test_means_have_six_digits(total: int, count: int) -> None:
    exact, text = Fraction(total, count), mean(total, count)
    assert abs(Fraction(text) - exact) * 2 <= abs(exact) * Fraction(1, 10**5)
    digits = text.partition("e")[0].replace(".", "").strip("-0")
    assert len(digits) <= 6
    script = Script(AVG)
    id = script.new(AVG)
    script.fill(id, AVG, [total])
    if count > 1:
        script.write(id + 8, count.to_bytes(8, "little"))
    assert script.drawn(id, AVG) == [f"title  {text} (count {count}, sum {total})"]


def test_means_are_compared_exactly() -> None:
    t = vt.MapT(U32, AVG)
    script = Script(t)
    id = script.new(t)
    huge = (1 << 62) - 1
    samples = {1: [huge, huge], 2: [huge, huge - 1], 3: [-7, 2], 4: [-3, -2], 5: [], 6: [1, 2, 2]}
    script.fill(id, t, {key: each for key, each in samples.items() if each})
    ordered = sorted(
        (key for key, each in samples.items() if each),
        key=lambda key: -Fraction(sum(samples[key]), len(samples[key])),
    )
    assert [int(line.split()[0]) for line in script.drawn(id, t)[1:]] == ordered


def test_floats_sort_by_size() -> None:
    t = vt.MapT(STR, F32)
    script = Script(t)
    id = script.new(t)
    script.fill(id, t, {"a": -1.5, "b": 0.25, "c": -2.0, "d": 1e10})
    assert [line.split()[0] for line in script.drawn(id, t)[1:]] == ["d", "b", "a", "c"]

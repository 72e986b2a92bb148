"""Percentiles of a sketch beside exact ones."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from whamm_cm.trace.sketch import ERROR, Sketch

PARTS = (0.0, 0.5, 0.9, 0.95, 0.99, 1.0)
SAMPLES = st.lists(
    st.one_of(
        st.integers(0, 1 << 63), st.integers(0, 100), st.integers(1, 40).map(lambda n: 1 << n)
    ),
    min_size=1,
    max_size=300,
)


def of(samples: list[int]) -> Sketch:
    sketch = Sketch()
    for sample in samples:
        sketch.add(sample)
    return sketch


def close(found: float | None, exact: int) -> bool:
    return found is not None and abs(found - exact) <= ERROR * exact


@given(SAMPLES)
def test_each_percentile_is_at_most_one_percent_off(samples: list[int]) -> None:
    ranked = sorted(samples)
    for part, found in zip(PARTS, of(samples).quantiles(PARTS), strict=True):
        assert close(found, ranked[max(1, math.ceil(part * len(ranked))) - 1]), (part, found)


@given(SAMPLES, SAMPLES)
def test_merged_they_are_one_of_all_samples(one: list[int], other: list[int]) -> None:
    merged = of(one)
    merged.merge(of(other))
    assert merged.count == len(one) + len(other)
    assert merged.quantiles(PARTS) == of(one + other).quantiles(PARTS)


def test_memory_is_bounded() -> None:
    sketch = Sketch()
    for power in range(64 * 100):
        sketch.add(2 ** (power / 100))
    assert len(sketch._buckets) < 2600


def test_there_is_nothing_to_say_of_nothing() -> None:
    assert Sketch().quantiles((0.5, 0.99)) == [None, None]
    empty = Sketch()
    empty.add(-5)
    assert empty.quantile(0.99) == 0.0

"""Percentiles of many durations in little memory, each at most one percent off.

Samples are counted in buckets whose bounds grow by a constant factor, as DDSketch does.  Sketches
add up: those of several instances, or of several seconds, are merged into one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

#: What an answer may be off, as a part of it.
ERROR = 0.01
#: Half of it for the bucket, the rest is left to rounding of the logarithm.
_GAMMA = (1 + ERROR * 0.9) / (1 - ERROR * 0.9)
_FACTOR = 1 / math.log(_GAMMA)
_MIDDLE = 2 / (1 + _GAMMA)
#: Least and greatest samples that are told apart: a nanosecond, and 2^63 of them.
_LEAST, _MOST = 1, 1 << 63


class Sketch:
    """``count`` samples; buckets are at most 2500, whatever comes."""

    __slots__ = ("_buckets", "_zeros", "count")

    def __init__(self) -> None:
        self.count = 0
        self._zeros = 0
        self._buckets: dict[int, int] = {}

    def add(self, sample: float, times: int = 1) -> None:
        """A sample of at least 0; less counts as 0."""
        self.count += times
        if sample < _LEAST:
            self._zeros += times
            return
        bucket = math.ceil(math.log(min(sample, _MOST)) * _FACTOR)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + times

    def merge(self, other: Sketch) -> None:
        self.count += other.count
        self._zeros += other._zeros
        for bucket, count in other._buckets.items():
            self._buckets[bucket] = self._buckets.get(bucket, 0) + count

    def quantiles(self, parts: Iterable[float]) -> list[float | None]:
        """For each of ``parts``, ascending in 0 … 1, the least sample that at least that part does
        not exceed; None where there are none."""
        parts = list(parts)
        if not self.count:
            return [None] * len(parts)
        found: list[float | None] = []
        buckets = iter(sorted(self._buckets.items()))
        seen, value = self._zeros, 0.0
        for part in parts:
            rank = max(1, math.ceil(part * self.count))
            while seen < rank:
                bucket, count = next(buckets)
                seen, value = seen + count, _GAMMA**bucket * _MIDDLE
            found.append(value)
        return found

    def quantile(self, part: float) -> float | None:
        return self.quantiles((part,))[0]

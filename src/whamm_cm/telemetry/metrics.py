"""Counts and times added up by what they are of, in memory that what is measured cannot fill."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Final, TypeAlias

from whamm_cm.dataclass import dataclass

Key: TypeAlias = tuple[tuple[str, str | int | bool], ...]

#: Bounds in seconds, as the semantic conventions have them for requests.
REQUEST_BOUNDS: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
#: The same for calls of a host, most of which take microseconds.
CALL_BOUNDS: Final = (
    *(1e-6, 1e-5, 1e-4, 1e-3, 2.5e-3, *REQUEST_BOUNDS),
)  # fmt: skip
#: What the attributes of a metric may differ in at most; of what is more, all is one.
MOST: Final = 2000
OVERFLOW: Final[Key] = (("otel.metric.overflow", True),)


@dataclass(frozen=True, slots=True)
class Instrument:
    """``bounds``: those of a histogram; without, it is a counter."""

    name: str
    unit: str
    about: str
    bounds: tuple[float, ...] = ()


SERVER: Final = Instrument(
    "http.server.request.duration", "s", "Duration of HTTP server requests.", REQUEST_BOUNDS
)
CLIENT: Final = Instrument(
    "http.client.request.duration", "s", "Duration of HTTP client requests.", REQUEST_BOUNDS
)
CALLS: Final = Instrument(
    "whamm_cm.calls", "{call}", "Calls of a function, and by error.type those that failed."
)
DURATION: Final = Instrument(
    "whamm_cm.call.duration", "s", "Duration of the calls of a function.", CALL_BOUNDS
)
LOST: Final = Instrument("whamm_cm.records.lost", "{record}", "Records that are missing, by why.")


@dataclass(slots=True)
class Point:
    """What was added up under one key; ``counts`` are those of the buckets of a histogram."""

    count: int = 0
    total: float = 0.0
    least: float = float("inf")
    most: float = float("-inf")
    counts: list[int] = field(default_factory=list)


class Metrics:
    """``start_ns``: since when, in nanoseconds since 1970."""

    def __init__(self, start_ns: int) -> None:
        self.start_ns = start_ns
        self._points: dict[Instrument, dict[Key, Point]] = {}

    def add(self, instrument: Instrument, key: Mapping[str, str | int], count: int = 1) -> None:
        self._point(instrument, key).count += count

    def observe(self, instrument: Instrument, key: Mapping[str, str | int], value: float) -> None:
        point = self._point(instrument, key)
        point.count += 1
        point.total += value
        point.least, point.most = min(point.least, value), max(point.most, value)
        point.counts[bisect_left(instrument.bounds, value)] += 1

    def _point(self, instrument: Instrument, key: Mapping[str, str | int]) -> Point:
        points = self._points.setdefault(instrument, {})
        named: Key = tuple(sorted(key.items()))
        point = points.get(named)
        if point is None:
            named = named if len(points) < MOST else OVERFLOW
            buckets = len(instrument.bounds) + 1 if instrument.bounds else 0
            point = points.setdefault(named, Point(counts=[0] * buckets))
        return point

    def points(self) -> Iterator[tuple[Instrument, dict[Key, Point]]]:
        yield from self._points.items()

    def __bool__(self) -> bool:
        return bool(self._points)

    def reset(self, start_ns: int) -> None:
        """From here on only what comes is added up."""
        self.start_ns, self._points = start_ns, {}

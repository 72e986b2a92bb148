"""What speedscope understands of four of our formats is what the log says."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tests.render.pprof_read import Read
from tests.render.shown import shown
from tests.render.test_pprof import expected as samples_of
from tests.render.test_pprof import profile, tree
from tests.viewers.logs import LOGS, log_of, times
from tests.viewers.speedscope import Speedscope, Stack, calls, weights
from whamm_cm.render.lanes import WAITING
from whamm_cm.trace.records import Record
from whamm_cm.trace.session import Session

pytestmark = pytest.mark.oracle


def name_of(call: Any) -> str:
    kind = f"{call.site.edge} " if call.site.edge in ("export", "inner") else ""
    return str(kind + call.site.shown)


@pytest.mark.parametrize("name", LOGS)
def test_speedscope_shows_every_call(name: str, speedscope: Speedscope) -> None:
    records = log_of(name)
    text = shown("speedscope", records)
    # It counts from the beginning of each profile.
    begins = [one["startValue"] for one in json.loads(text)["profiles"]]
    document = speedscope.opened("run.speedscope.json", text.encode())
    found = Counter[tuple[str, str, int, int]]()
    for one, begin in zip(document["profiles"], begins, strict=True):
        for stack, start, end in calls(one, document["shared"]["frames"]):
            component = one["name"].rpartition("instance ")[0].strip()
            found[component, stack[-1], begin + start, end - start] += 1
    session = Session.build(records)
    unit = "nanoseconds" if session.timed else "none"
    assert {one["unit"] for one in document["profiles"]} == {unit}
    whole = Counter(
        (call.site.component.strip(), name_of(call), start, took)
        for call, start, took in times(session)
        if not call.waited_later and took  # what takes no time has no place in it
    )
    assert whole <= found
    # The rest are calls as long as their callers were kept, and waits.
    later = Counter(name_of(call) for call in session.calls if call.waited_later)
    waits = sum(len(call.waits) for call in session.calls)
    rest = Counter(one for _, one, *_ in (found - whole).elements())
    assert 0 <= waits - rest.pop(WAITING, 0) <= (name == "torn") and rest == later


@pytest.mark.parametrize("name", ["http", "composed", "tasks", "random", "hostile", "untimed"])
def test_speedscope_reads_folded_stacks(name: str, speedscope: Speedscope) -> None:
    records = log_of(name)
    document = speedscope.opened("run.folded", shown("folded", records).encode())
    session = Session.build(records)
    expected = Counter[Stack]()
    for (stack, kind), value in samples_of(session).items():
        stack = tuple(frame.replace(";", ",") for frame in stack)
        if kind == ("time/nanoseconds" if session.timed else "calls/count"):
            expected[stack] += value
        elif kind == "wait/nanoseconds":
            expected[*stack, WAITING] += value
    assert weights(document) == +expected


@pytest.mark.parametrize("name", ["http", "composed", "tasks", "random", "hostile", "untimed"])
def test_speedscope_reads_pprof(name: str, speedscope: Speedscope) -> None:
    """Of the types of values it shows the one that the profile says."""
    records = log_of(name)
    data = profile(records)
    document = speedscope.opened("run.pprof", data)
    expected, read = Counter[Stack](), Read(data)
    for (stack, kind), value in samples_of(Session.build(records)).items():
        if kind.startswith(f"{read.default}/"):
            expected[stack] += value
    assert weights(document) == expected


@pytest.mark.parametrize("name", ["http", "odd", "late", "hostile"])
def test_speedscope_reads_chrome(name: str, speedscope: Speedscope) -> None:
    """Its names have the arguments behind them."""
    records = log_of(name)
    document = speedscope.opened("run.json", shown("chrome", records).encode())
    assert {one["unit"] for one in document["profiles"]} == {"microseconds"}
    found = Counter[tuple[str, int, int]]()
    for one in document["profiles"]:
        for stack, start, end in calls(one, document["shared"]["frames"]):
            found[
                stack[-1].partition(" {")[0], round(start * 1000), round((end - start) * 1000)
            ] += 1
    session = Session.build(records)
    begins: dict[int, int] = {}
    expected = Counter[tuple[str, int, int]]()
    for call, start, took in times(session):
        # It counts from the beginning of each thread.
        begin = begins.setdefault(call.instance, start)
        expected[call.site.shown.partition(" {")[0], start - begin, took] += 1
    assert found == expected


def test_speedscope_shows_reported_trees(speedscope: Speedscope) -> None:
    records: list[Record] = [
        tree("stacks", [[1, [0, "main", 1, 5]], [2, [1, "work", 2, 9]], [3, [2, "deep", 3, 0]]]),
    ]
    for format_ in ("speedscope", "folded"):
        data = shown(format_, records).encode()
        document = speedscope.opened(f"run.{format_}", data)
        assert weights(document) == {("main",): 5, ("main", "work"): 9}

"""What reads and writes of streams and futures have copied, on both sides, however they end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wast_driver import Hook, Sink
from tests.wast_driver.runner import PASSED, run_text
from tests.weave.streaming import FUTURE_WAYS, KINDS, NONE, WAYS, Kind, Way, script
from tests.weave.test_tasks import Records, Weaver
from whamm_cm.agent.table import SiteTable
from whamm_cm.trace.decode import Receiver


def records_of(text: str, **wishes: Any) -> Records:
    """The records of a script, which goes as it does without probes."""
    assert [one.status for one in run_text(text)] == [PASSED] * 2
    weaver, sink = Weaver(wishes), Sink()
    outcomes = run_text(text, Hook(weaver), sink)
    assert [one.status for one in outcomes] == [PASSED] * 2, outcomes
    receiver = Receiver(SiteTable.parse(weaver.table))
    return [record for block in sink.blocks for record in receiver.receive(block).records]


def copies(records: Records, func: str) -> Records:
    """The returns of copies that are over."""
    return [
        one
        for one in records
        if one["phase"] == "return" and one["func"] == func and not one.get("pending")
    ]


def check(kind: Kind, way: Way, future: bool, **wishes: Any) -> None:
    records = records_of(script(kind, way.body, way.result, way.call, future), **wishes)
    holder = "future" if future else "stream"
    for func, wanted in ((f"{holder}.read", way.reads), (f"{holder}.write", way.writes)):
        found = copies(records, func)
        results = [how if future else count << 4 | how for count, how in wanted]
        assert [one["result"] for one in found] == results, func
        data = [kind.data(count) for count, _ in wanted]
        assert [one.get("data", []) for one in found] == data, func


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
@pytest.mark.parametrize("kind", (*KINDS, NONE), ids=lambda kind: kind.name)
def test_streams(kind: Kind, way: Way) -> None:
    check(kind, way, False)


@pytest.mark.parametrize("way", FUTURE_WAYS, ids=lambda way: way.name)
@pytest.mark.parametrize("kind", (*KINDS, NONE), ids=lambda kind: kind.name)
def test_futures(kind: Kind, way: Way) -> None:
    check(kind, way, True)

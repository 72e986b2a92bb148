"""Several component instances: a relay collects their blocks in order and wakes the host rarely."""

from __future__ import annotations

import pytest

from tests.weave import guests
from tests.weave.host import everything, traced
from whamm_cm.component import nodes as n
from whamm_cm.component.decode import decode
from whamm_cm.weave.api import weave
from whamm_cm.weave.plan import Plan

GO = ("export", "go")
#: The caller knows it as "tick"; records say what it is.
TICK = [("inner", "tock", phase) for phase in ("call", "call", "return", "return")]


def test_records_of_two_instances_arrive_in_call_order() -> None:
    guest, sink = traced(guests.INNER_TICKER)
    assert guest.call("go", 3) == 3
    found = [(r["edge"], r["func"], r["phase"]) for r in sink.records]
    assert found == [(*GO, "call"), *TICK * 3, (*GO, "return")]
    assert len({r["instance"] for r in sink.records}) == 2


def test_a_thousand_inner_calls_wake_the_host_a_few_times() -> None:
    guest, sink = traced(guests.INNER_TICKER)
    assert guest.call("go", 1000) == 1000
    assert len(sink.records) == 2 + 4 * 1000
    # Early on blocks leave at once, so that a short life has said something; see agent.c.
    early = len(sink.finals)
    assert 1 <= early <= 2 * 24
    assert guest.call("go", 1000) == 2000
    assert len(sink.finals) - early <= 8  # some 200 KB of blocks, in pieces of at least 64 KB


def test_nothing_waits_once_the_root_export_has_returned() -> None:
    guest, sink = traced(guests.INNER_TICKER)
    for calls in (1, 2, 3):
        guest.call("go", 0)
        guest.call("go", 1)
        assert len(sink.records) == calls * (2 + 2 + 4)


def test_counters_of_inner_components_are_complete() -> None:
    guest, sink = traced(guests.INNER_TICKER, trace=lambda *key: False, count=everything)
    guest.call("go", 500)
    totals: dict[str, int] = {}
    for record in sink.records:
        assert record["phase"] == "report"
        totals[record["func"]] = totals.get(record["func"], 0) + record["count"]
    assert totals == {"go": 1, "tock": 500}  # each call once, not at both its ends


@pytest.mark.parametrize("export_only", [False, True])
def test_only_several_agents_need_a_relay(export_only: bool) -> None:
    def go(edge: str, interface: str, version: str | None, func: str) -> bool:
        return not export_only or edge == "export"

    woven = weave(guests.INNER_TICKER, Plan(trace=go, sink="host"))
    root = decode(woven.wasm)
    enclosed = sum(isinstance(d.node, n.Instantiate) for d in root.definitions)
    assert woven.added.agents == (1 if export_only else 2)
    assert enclosed == 2  # relay and original, or the original's own two
    guest, sink = traced(guests.INNER_TICKER, trace=go)
    guest.call("go", 5)
    assert len(sink.records) == (2 if export_only else 22)

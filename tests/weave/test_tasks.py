"""Asynchronous calls to their end: results, cancellations, and whose task a record is of.

What is expected follows from the programs in ``tests/wast`` and the specification (Concurrency.md),
not from anything in here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.wast_driver import Hook, Sink, run_script
from tests.wast_driver.runner import PASSED
from whamm_cm.agent.layout import AGENT_PAGES
from whamm_cm.agent.table import SiteTable
from whamm_cm.render import strace
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.registry import RENDERERS
from whamm_cm.trace.decode import Receiver
from whamm_cm.trace.flows import flows
from whamm_cm.trace.session import Session
from whamm_cm.trace.summary import Summary
from whamm_cm.weave.api import weave
from whamm_cm.weave.plan import Plan
from whamm_cm.wit.classes import DEFAULT, SiteSet

WAST = Path(__file__).parents[1] / "wast"
Records = list[dict[str, Any]]


@dataclass
class Weaver:
    """Weaves the one component of a script, with records to the host."""

    wishes: dict[str, Any]
    table: bytes = field(default=b"", init=False)

    def __call__(self, wasm: bytes) -> bytes:
        plan = Plan(**{"trace": SiteSet.parse(DEFAULT), "sink": "host", **self.wishes})
        woven = weave(wasm, plan)
        self.table = woven.table
        return woven.wasm


def records_of(name: str, **wishes: Any) -> Records:
    weaver, sink = Weaver(wishes), Sink()
    outcomes = run_script(WAST / name, Hook(weaver), sink)
    assert [one.status for one in outcomes] == [PASSED] * len(outcomes), outcomes
    receiver = Receiver(SiteTable.parse(weaver.table))
    return [record for block in sink.blocks for record in receiver.receive(block).records]


def ended(records: Iterable[dict[str, Any]], func: str, edge: str) -> Records:
    """The last records about calls of a function: returns that are not preliminary."""
    return [
        one
        for one in records
        if one["phase"] == "return"
        and not one.get("pending")
        and (one["func"], one["edge"]) == (func, edge)
    ]


@pytest.fixture(scope="module", params=[True, False], ids=["multi-memory", "one-memory"])
def records(request: pytest.FixtureRequest) -> Records:
    return records_of("tasks.wast", timed=True, multi_memory=request.param)


def callers(records: Records, func: str) -> Records:
    """Calls between the components as their caller, the second instance, sees them."""
    mine = {r["instance"] for r in records if r.get("func") == "run"}
    return [r for r in ended(records, func, "inner") if r["instance"] in mine]


def test_results_come_when_they_are_there(records: Records) -> None:
    found = callers(records, "slow")
    assert [one["result"] for one in found] == [[1, 10], [2, 20]] * 2
    assert all(one["dur_ns"] > 0 for one in found)


def test_a_cancelled_call_has_no_result(records: Records) -> None:
    found = callers(records, "never")
    assert [one["cancelled"] for one in found] == ["before-returned", "before-started"] * 2
    assert all("result" not in one and "dur_ns" in one for one in found)
    statuses = [r["status"] & 15 for r in records if r.get("func") == "never" and "pending" in r]
    assert statuses == [1, 0] * 2  # started, starting
    found = [one for one in ended(records, "never", "inner") if one not in found]
    assert [one["cancelled"] for one in found] == ["before-returned"] * 2  # where it did start
    assert all("result" not in one and "dur_ns" in one for one in found)


def test_reads_that_waited_are_told_when_they_are_over(records: Records) -> None:
    assert [one["result"] for one in ended(records, "stream.read", "builtin")] == [0x40, 2] * 2
    assert [one["result"] for one in ended(records, "stream.write", "builtin")] == [0x40] * 2
    waiting = [r for r in records if r.get("func") == "stream.read" and r.get("pending")]
    assert [one["status"] for one in waiting] == [0xFFFFFFFF] * 4


def test_what_is_called_is_one_call_with_one_end(records: Records) -> None:
    calls = [(r["instance"], r["call"]) for r in records if r["phase"] == "call"]
    over = [
        (r["instance"], r["call"])
        for r in records
        if r["phase"] == "return" and not r.get("pending")
    ]
    assert len(set(calls)) == len(calls) and sorted(calls) == sorted(over)
    assert not [r for r in records if r.get("func") in ("task.return", "task.cancel")]


def test_tasks_are_told_apart(records: Records) -> None:
    """The two calls of ``slow`` run at the same time in one instance."""
    mine = {r["instance"] for r in records if r.get("func") == "run"}
    inside = [r for r in records if r.get("func") == "slow" and r["instance"] not in mine]
    tasks = {r["call"]: r["task"] for r in inside if r["phase"] == "call"}
    assert sorted(tasks.values()) == [1, 2, 6, 7]  # three to five are other calls
    for one in inside:
        assert one["task"] == tasks[one["call"]], one
    phases = [r["phase"] for r in inside if r["call"] == min(tasks)]
    assert phases == ["call", "resumed", "return", "resumed", "exit"]


def test_records_of_a_task_say_so(records: Records) -> None:
    run = next(r for r in records if r.get("func") == "run" and r["phase"] == "call")
    own = [r for r in records if r.get("instance") == run["instance"] and "func" in r]
    assert {r["task"] for r in own} == {1, 2}
    session = Session.build(records)
    for call in session.calls:
        if call.site.func in ("stream.read", "stream.write"):
            assert call.parent is not None and session.calls[call.parent].site.func == "run"


def test_nothing_is_said_not_to_have_returned(records: Records) -> None:
    text = "".join(strace.render(records, RenderOptions()))
    assert "= ?" not in text and "4294967295" not in text
    assert ".read(8) = blocked\n" in text
    assert "= cancelled before it returned" in text and "[task 2]" in text
    summary = Summary()
    for record in records:
        summary.feed(record)
    summary.finish()
    assert not any(row.unfinished or row.pending for row in summary.rows.values())


def test_what_the_sink_writes_is_the_same() -> None:
    """Exports with callbacks, one without, and results that come later."""
    found = records_of("async.wast", timed=True)
    returns = [(one["func"], one["result"]) for one in ended(found, "now", "export")]
    assert returns == [("now", 42)]
    assert [one["result"] for one in ended(found, "later", "export")] == [40]
    assert [one["result"] for one in ended(found, "plain", "export")] == [42]
    exits = [(r["func"], r["task"]) for r in found if r["phase"] == "exit"]
    assert exits == [("now", 1), ("later", 2), ("plain", 3)]


def test_a_call_that_had_to_wait_says_when_it_starts() -> None:
    """The guest says how often it was told so."""
    found = records_of("starting.wast", timed=True)
    [told] = [one["result"] for one in ended(found, "run", "export")]
    started = [one for one in found if one["phase"] == "started"]
    assert told == len(started) == 3
    first = {one["call"]: one for one in found if one["phase"] == "call" and one["instance"] == 1}
    for one in started:
        call = first[one["call"]]
        assert (one["func"], one["task"]) == (call["func"], call["task"])
        assert one["dur_ns"] == one["t_ns"] - call["t_ns"]
        [status] = [
            other["status"]
            for other in found
            if other["instance"] == 1 and other.get("call") == one["call"] and "pending" in other
        ]
        assert status & 15 == 0


def test_how_long_a_task_waits_is_told_where_it_goes_on() -> None:
    """It waits in a callback's absence, or in ``waitable-set.wait``; not without a clock."""
    found = records_of("starting.wast", timed=True)
    begun = {
        (one["instance"], one["task"]): one
        for one in reversed(found)
        if one["phase"] == "call" and one["func"] in ("run", "later", "never")
        if (one["func"] == "run") == (one["instance"] == 1)
    }
    resumed = [one for one in found if one["phase"] == "resumed"]
    assert {one["func"] for one in resumed} == {"run", "later", "never"}
    for one in resumed:
        call = begun[one["instance"], one["task"]]
        assert (one["func"], one["call"]) == (call["func"], call["call"])
        assert call["t_ns"] <= one["t_ns"] - one["dur_ns"] <= one["t_ns"]
    untimed = records_of("starting.wast", timed=False)
    assert not [one for one in untimed if one["phase"] == "resumed"]
    assert len([one for one in untimed if one["phase"] == "started"]) == 3


def test_without_room_for_more_calls_under_way_they_stay_pending() -> None:
    """The memory of the agent cannot grow: what it has room for is told, and the guest, which
    checks for itself, notices nothing."""
    found = records_of("starting.wast", timed=True, mark=AGENT_PAGES)
    mine = [r for r in found if r.get("func") == "never" and r["instance"] == 1]
    begun = [r for r in mine if r["phase"] == "call"]
    over = ended(mine, "never", "inner")
    assert len(begun) == 701 and 200 < len(over) < 701
    assert all(one["cancelled"] == "before-returned" for one in over)
    summary = Summary()
    for record in found:
        summary.feed(record)
    summary.finish()
    assert summary.rows["inner", "never", 0].pending == 701 - len(over)


@pytest.mark.parametrize("name", ["starting.wast", "tasks.wast"])
def test_what_a_call_became_is_found_where_all_is_recorded(name: str) -> None:
    """In both scripts the second instance is only called by the first."""
    session = Session.build(records_of(name, timed=True))
    caller = next(c.instance for c in session.calls if c.site.func == "run")
    found = flows(session)
    callees = {k for k, c in enumerate(session.calls) if c.instance != caller}
    assert {callee for _, callee in found} == callees and len(found) == len(callees)
    for one, other in found:
        assert session.calls[one].instance == caller
        assert session.calls[one].args == session.calls[other].args
        assert session.calls[one].cancelled in ("", session.calls[other].cancelled)


@pytest.mark.parametrize("name", ["starting.wast", "tasks.wast"])
def test_time_is_told_once(name: str) -> None:
    found = records_of(name, timed=True)
    session, summary = Session.build(found), Summary()
    for record in found:
        summary.feed(record)
    summary.finish()
    own: dict[str, int] = {}
    for call in session.calls:
        own[call.site.func] = own.get(call.site.func, 0) + (call.self_ns or 0)
    assert own == {row.item: row.self_ns for row in summary.rows.values()}
    times = [record["t_ns"] for record in found if "t_ns" in record]
    assert 0 < sum(own.values()) <= max(times) - min(times)
    made = [call.site.func for call in session.calls if call.instance == found[1]["instance"]]
    assert all(row.calls == made.count(row.item) for row in summary.rows.values())


def test_a_call_whose_subtask_is_dropped_too_early_stays_pending() -> None:
    """``subtask.drop`` traps then; what had left by that time is there."""
    found = records_of("dropped.wast", timed=True, flush_each=True)
    said = [
        (r["phase"], r["func"], r.get("status"))
        for r in found
        if "func" in r and r["instance"] == 1
    ]
    assert said == [("call", "run", None), ("call", "never", None), ("return", "never", 17)]
    text = "".join(strace.render(found, RenderOptions()))
    assert "never resumed> = pending(started, subtask#1)\n" in text and "run resumed> = ?\n" in text
    [resource] = json.loads("".join(RENDERERS["otlp"].render(found, RenderOptions())))[
        "resourceSpans"
    ]
    spans = resource["scopeSpans"][0]["spans"]
    outcomes = {
        (span["name"], fact["value"]["stringValue"])
        for span in spans
        for fact in span["attributes"]
        if fact["key"] == "whamm_cm.outcome"
    }
    assert outcomes == {("run", "unfinished"), ("never", "pending"), ("never", "unfinished")}

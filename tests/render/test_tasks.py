"""What the views say of interleaved tasks, against a model of how they ran."""

from __future__ import annotations

import json
from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.render.random_tasks import BACK, FRONT, GET, HANDLE, Program
from tests.render.shown import shown
from whamm_cm.errors import UsageError
from whamm_cm.trace.flows import flows
from whamm_cm.trace.records import fault_of
from whamm_cm.trace.session import Session
from whamm_cm.trace.summary import Summary

programs = st.builds(
    lambda random, requests: Program(random, requests).run(), st.randoms(), st.integers(1, 6)
)
torn = st.builds(
    lambda random, requests, cut: Program(random, requests, cut).run(),
    st.randoms(),
    st.integers(1, 6),
    st.integers(0, 60),
)


def rendered(name: str, program: Program) -> str:
    return shown(name, program.records)


def events(program: Program) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(rendered("chrome", program))["traceEvents"]
    return found


@given(programs)
@settings(max_examples=40)
def test_the_summary_tells_running_from_waiting(program: Program) -> None:
    summary = Summary()
    for record in program.records:
        assert not fault_of(record)
        summary.feed(record)
    summary.finish()
    rows = {row.item: row for row in summary.rows.values()}
    _same_times(Counter({item: row.self_ns for item, row in rows.items()}), program)
    assert {item: row.calls for item, row in rows.items()} == dict(program.made)
    assert {item: row.total_ns for item, row in rows.items()} == dict(program.wall)
    waits = {item: row.wait_ns for item, row in rows.items() if row.wait_ns}
    assert waits == {item: ns for item, ns in program.wait.items() if ns}
    starts = {item: row.starting_ns for item, row in rows.items() if row.late}
    assert starts == dict(program.starting)


def _same_times(own: Counter[str], program: Program) -> None:
    """A callee that may be another's, too, counts for itself and for who cancels it."""
    if program.doubtful:
        assert own[HANDLE] >= program.own[HANDLE]
        del own[HANDLE], program.own[HANDLE]
    assert own == program.own


@given(programs)
@settings(max_examples=40)
def test_a_session_has_the_same_times(program: Program) -> None:
    session = Session.build(program.records)
    own = Counter[str]()
    for call in session.calls:
        own[call.site.item] += call.self_ns or 0
    _same_times(own, program)
    for call in session.calls:
        if call.instance == FRONT and call.site.item != HANDLE:
            assert call.parent is not None
            assert session.calls[call.parent].call == program.inside[call.call]


@given(programs)
@settings(max_examples=40)
def test_a_flame_graph_has_each_moment_once_and_waits_apart(program: Program) -> None:
    own, waited = Counter[str](), 0
    for line in rendered("folded", program).splitlines():
        stack, _, weight = line.rpartition(" ")
        leaf = stack.rpartition(";")[2]
        if leaf == "(waiting)":
            waited += int(weight)
        else:
            own[leaf.rpartition(" ")[2]] += int(weight)
    _same_times(own, program)
    assert waited == sum(r["dur_ns"] for r in program.records if r["phase"] == "resumed")


@given(programs | torn)
@settings(max_examples=40)
def test_slices_of_a_chrome_trace_nest_and_async_events_are_pairs(program: Program) -> None:
    tracks: dict[tuple[int, int], list[tuple[int, int]]] = {}
    open_: dict[Any, dict[str, Any]] = {}
    for event in events(program):
        if event["ph"] == "X":
            start, length = (round(event[key] * 1000) for key in ("ts", "dur"))
            tracks.setdefault((event["pid"], event["tid"]), []).append((start, start + length))
        elif event["ph"] == "b":
            assert open_.setdefault(event["id2"]["local"], event) is event
        elif event["ph"] in ("n", "e"):
            begun = open_[event["id2"]["local"]]
            same = ("name", "cat", "pid", "tid")
            assert [event[key] for key in same] == [begun[key] for key in same]
            assert event["ts"] >= begun["ts"]
            if event["ph"] == "e":
                del open_[event["id2"]["local"]]
    assert not open_
    for slices in tracks.values():
        stack: list[int] = []
        assert slices == sorted(slices, key=lambda one: one[0])
        for start, end in slices:
            while stack and stack[-1] <= start:
                stack.pop()
            assert not stack or end <= stack[-1]
            stack.append(end)


@given(programs)
@settings(max_examples=40)
def test_a_lane_is_of_one_task_at_a_time(program: Program) -> None:
    """What is inside of the slice of an export's task is of that task, and is all of it."""
    for pid, task_of in ((1, HANDLE), (2, "back#get")):
        slices = [e for e in events(program) if e["ph"] == "X" and e["pid"] == pid]
        tasks = [e for e in slices if e["name"] == task_of and e["args"]]
        tasks = [e for e in tasks if pid == 1 or "dur" in e]
        for event in slices:
            if event in tasks or event["name"] == "(waiting)":
                continue
            [around] = [
                one
                for one in tasks
                if one["tid"] == event["tid"]
                and one["ts"] <= event["ts"]
                and event["ts"] + event["dur"] <= one["ts"] + one["dur"] + 1e-6
            ]
            assert around["args"]["task"] == event["args"]["task"]


@given(programs | torn)
@settings(max_examples=40)
def test_arrows_lead_where_the_calls_went(program: Program) -> None:
    session = Session.build(program.records)
    found = flows(session)
    for caller, callee in found:
        one, other = session.calls[caller], session.calls[callee]
        assert (one.instance, other.instance) == (FRONT, BACK)
        assert program.became[one.call] == other.call
    assert len({pair[0] for pair in found}) == len({pair[1] for pair in found}) == len(found)
    begun: dict[int, dict[str, Any]] = {}
    slices = [event for event in events(program) if event["ph"] == "X"]
    for event in events(program):
        if event["ph"] in ("s", "f"):
            where = [one for one in slices if all(one[k] == event[k] for k in ("tid", "ts"))]
            assert [one for one in where if one["name"] == "back#get"]
        if event["ph"] == "s":
            begun[event["id"]] = event
        elif event["ph"] == "f":
            assert event["ts"] >= begun.pop(event["id"])["ts"] and event["bp"] == "e"
    assert not begun


def test_most_arrows_are_found() -> None:
    """All but some of calls that were held back, of which several may be waiting."""
    made = found = held = 0
    for seed in range(20):
        program = Program(Random(seed), 6).run()
        made += len(program.became)
        found += len(flows(Session.build(program.records)))
        held += len([r for r in program.records if r.get("status", 1) & 15 == 0])
    assert made - held <= found <= made


def test_without_times_there_are_no_spans() -> None:
    program = Program(Random(1), 2).run()
    for record in program.records:
        record.pop("t_ns", None)
    with pytest.raises(UsageError, match="times"):
        rendered("otlp", program)


@given(programs | torn)
@settings(max_examples=40)
def test_spans_are_well_formed(program: Program) -> None:
    [resource] = json.loads(rendered("otlp", program))["resourceSpans"]
    [scope] = resource["scopeSpans"]
    spans = {span["spanId"]: span for span in scope["spans"]}
    assert len(spans) == len(scope["spans"])
    assert len(spans) == len([r for r in program.records if r["phase"] == "call"])
    for span in spans.values():
        assert len(span["traceId"]) == 32 and len(span["spanId"]) == 16
        start, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
        assert start <= end
        for event in span.get("events", ()):
            assert start <= int(event["timeUnixNano"]) <= end
        facts = {fact["key"]: fact["value"] for fact in span["attributes"]}
        if span["name"] == HANDLE:
            assert "parentSpanId" not in span and span["kind"] == 2
        elif facts["whamm_cm.instance"] == {"intValue": "1"}:
            above = spans[span["parentSpanId"]]
            assert above["name"] == HANDLE and above["traceId"] == span["traceId"]
            assert int(above["startTimeUnixNano"]) <= start
            assert {"key": "whamm_cm.task", "value": facts["whamm_cm.task"]} in above["attributes"]


@given(programs | torn)
@settings(max_examples=40)
def test_speedscope_profiles_are_balanced(program: Program) -> None:
    for profile in json.loads(rendered("speedscope", program))["profiles"]:
        stack, last = [], profile["startValue"]
        for event in profile["events"]:
            assert last <= event["at"] <= profile["endValue"]
            last = event["at"]
            if event["type"] == "O":
                stack.append(event["frame"])
            else:
                assert stack.pop() == event["frame"]
        assert not stack


@pytest.mark.parametrize("name", ["chrome", "folded", "speedscope", "summary", "strace"])
def test_a_log_of_tasks_without_times_can_be_seen(name: str) -> None:
    program = Program(Random(1), 5).run()
    for record in program.records:
        for key in ("t_ns", "dur_ns"):
            record.pop(key, None)
    program.records = [r for r in program.records if r["phase"] != "resumed"]
    text = rendered(name, program)
    assert HANDLE in text
    if name == "chrome":
        assert not [e for e in json.loads(text)["traceEvents"] if e["ph"] in ("s", "f")]


def test_a_log_that_breaks_off_leaves_open_which_call_has_started() -> None:
    """Both calls wait to start; of the second nothing more is heard, for it was the end."""
    program = Program(Random(1), 0)
    says: list[tuple[int, str, int, int, str, int, dict[str, Any]]] = [
        (1001, "call", FRONT, 1, HANDLE, 1, {}),
        (1008, "call", FRONT, 2, GET, 1, {}),
        (1009, "return", FRONT, 2, GET, 1, {"pending": True, "status": 2 << 4, "dur_ns": 1}),
        (1010, "call", FRONT, 3, HANDLE, 2, {}),
        (1011, "call", FRONT, 4, GET, 2, {}),
        (1012, "return", FRONT, 4, GET, 2, {"pending": True, "status": 2 << 4, "dur_ns": 1}),
        (1017, "call", BACK, 1, GET, 1, {}),
        (1021, "return", BACK, 1, GET, 1, {"result": 1, "dur_ns": 4}),
        (1023, "call", BACK, 2, GET, 2, {}),
        (1026, "started", FRONT, 2, GET, 1, {"dur_ns": 18}),
    ]
    for program.now, phase, instance, call, item, task, more in says:
        program.write(phase, instance, call, item, task, **more)
    assert flows(Session.build(program.records)) == []

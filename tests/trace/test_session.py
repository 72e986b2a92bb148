"""Pairing, nesting, self time, counts."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trace.records import Log
from whamm_cm.render import strace
from whamm_cm.render.lanes import lanes
from whamm_cm.render.options import RenderOptions
from whamm_cm.trace.calls import Outcome, Tracker, track
from whamm_cm.trace.session import Session
from whamm_cm.trace.summary import Summary

HANDLE = "wasi:http/incoming-handler#handle"
OPEN = "wasi:keyvalue/store#open"
GET = "wasi:keyvalue/store#bucket.get"


def by_func(session: Session) -> dict[str, Any]:
    return {call.site.func: call for call in session.calls}


def test_imports_are_inside_the_export():
    log = Log()
    handle = log.enter(HANDLE, edge="export")
    log.call(OPEN, {"ok": 1}, identifier="s")
    log.call(GET, {"error": {"other": "x"}}, 1, key="k")
    log.leave(HANDLE, handle)
    log.call(OPEN, {"ok": 1}, identifier="s")
    session = Session.build(log)
    assert [(c.site.func, c.parent, c.depth, c.dur_ns, c.self_ns) for c in session.calls] == [
        ("handle", None, 0, 5000, 3000),
        ("open", 0, 1, 1000, 1000),
        ("bucket.get", 0, 1, 1000, 1000),
        ("open", None, 0, 1000, 1000),
    ]
    assert session.children()[0] == [1, 2]
    assert [c.failed for c in session.calls] == [False, False, True, False]
    assert session.calls[1].args == {"identifier": "s"}
    assert session.calls[2].self_handle == 1
    assert (session.instances, session.records, session.timed) == ((1,), 8, True)


def test_what_never_returns():
    log = Log()
    log.enter("wasi:cli/run#run", edge="export")
    log.enter("wasi:cli/exit#exit", args={"status": {"ok": None}})
    session = Session.build(log)
    assert [c.outcome for c in session.calls] == [Outcome.UNFINISHED] * 2
    assert [(c.start_seq, c.end_seq) for c in session.calls] == [(0, 2), (1, 2)]
    assert session.calls[1].parent == 0 and not session.calls[1].has_result


def test_async_calls_are_pending_until_their_result_comes():
    log = Log()
    run = log.enter("a:b/c#run", edge="export")
    send = log.enter("wasi:http/client#send", args={"request": 1})
    log.leave("wasi:http/client#send", send, pending=True, status=0x21)
    log.leave("a:b/c#run", run, pending=True, status=2)
    sent = Session.build(log)
    assert [c.outcome for c in sent.calls] == [Outcome.PENDING] * 2
    log.leave("wasi:http/client#send", send, result={"ok": 5})
    calls = by_func(Session.build(log))
    assert calls["send"].outcome is Outcome.RETURNED
    assert calls["send"].dur_ns == 3000
    assert calls["run"].self_ns == 2000  # only the time until the call said "later"


def test_a_return_without_its_call_still_counts():
    log = Log()
    log.add("return", GET, 5, result={"ok": None}, dur_ns=400)
    (call,) = Session.build(log).calls
    assert (call.outcome, call.opened, call.start_ns) == (Outcome.RETURNED, None, 600)


def test_a_return_of_another_function_is_not_its_return():
    log = Log()
    log.enter(OPEN)
    log.add("return", GET, 1, result=None)
    assert [c.outcome for c in Session.build(log).calls] == [
        Outcome.UNFINISHED,
        Outcome.RETURNED,
    ]


def test_runs_that_use_the_same_numbers():
    """A host that makes a fresh instance per request numbers each of them from 1."""
    log = Log()
    log.add("call", OPEN, 1, args={"identifier": "a"})
    log.add("call", OPEN, 1, args={"identifier": "b"})
    log.add("return", OPEN, 1, result={"ok": "a"}, dur_ns=2000)
    log.add("return", OPEN, 1, result={"ok": "b"}, dur_ns=2000)
    calls = Session.build(log).calls
    assert [(c.args["identifier"], c.result["ok"]) for c in calls] == [("a", "a"), ("b", "b")]


def composed(swapped: bool) -> list[dict[str, Any]]:
    log = Log()
    item = "shop:cart/cart#add"
    front = log.enter(HANDLE, edge="export", instance=1, component="front")
    lower = log.enter(item, edge="inner", instance=1, component="front")
    lift = log.enter(item, edge="export", instance=2, component="cart")
    get = log.enter(GET, edge="import", instance=2, component="cart")
    log.leave(GET, get)
    log.leave(item, lift)
    log.leave(item, lower)
    log.leave(HANDLE, front)
    blocks = sorted(log.records, key=lambda r: -r["instance"] if swapped else 0)
    return blocks


def test_calls_between_instances_whatever_block_comes_first():
    for swapped in (False, True):
        calls = by_func(Session.build(composed(swapped)))
        assert calls["handle"].depth == 0
        assert calls["bucket.get"].depth == 3
        (lower,) = [c for c in Session.build(composed(swapped)).calls if c.site.edge == "inner"]
        assert lower.self_ns == 2000


def test_another_request_is_not_a_child():
    """Same function name, other instance, but it is not spanned by the call."""
    log = Log()
    first = log.enter("wasi:http/handler#handle", instance=1)
    log.leave("wasi:http/handler#handle", first)
    second = log.enter("wasi:http/handler#handle", edge="export", instance=2)
    log.leave("wasi:http/handler#handle", second)
    assert [c.parent for c in Session.build(log).calls] == [None, None]


def test_counts_and_drops():
    log = Log()
    for count in (3, 4):
        log.add("report", "wasi:clocks/monotonic-clock#now", 0, count=count)
        log.add("dropped", "", 0, count=count)
    session = Session.build(log)
    assert [(site.item, count) for site, count in session.counts.items()] == [
        ("wasi:clocks/monotonic-clock#now", 7)
    ]
    assert (session.losses.number, list(session.losses.whys)) == (7, ["buffer"])


def test_a_log_without_times():
    log = Log()
    handle = log.enter(HANDLE, edge="export")
    log.call(OPEN, {"ok": 1})
    log.leave(HANDLE, handle)
    for record in log:
        record.pop("t_ns")
        record.pop("dur_ns", None)
    session = Session.build(log)
    assert not session.timed
    assert [(c.parent, c.dur_ns, c.self_ns) for c in session.calls] == [
        (None, None, None),
        (0, None, None),
    ]


@st.composite
def interleavings(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Calls of several instances whose records mix in any order that time allows."""
    count = draw(st.integers(1, 12))
    pool = [
        (n, draw(st.integers(1, 3)), draw(st.sampled_from(["import", "export", "inner"])))
        for n in range(1, count + 1)
    ]
    returns = {n: draw(st.booleans()) for n in range(1, count + 1)}
    events = [n for n, *_ in pool for _ in range(2 if returns[n] else 1)]
    order = draw(st.permutations(events))
    seen: set[int] = set()
    records = []
    for now, number in enumerate(order):
        _, instance, edge = pool[number - 1]
        phase = "return" if number in seen else "call"
        seen.add(number)
        body = {"args": {"n": number}} if phase == "call" else {"result": number}
        records.append(
            {"t_ns": now * 10, "instance": instance, "call": number, "phase": phase}
            | {"edge": edge, "interface": "a:b/c", "func": f"f{number % 3}", **body}
        )
    return records


@settings(max_examples=300, deadline=None)
@given(interleavings())
def test_any_interleaving_is_paired(records):
    session = Session.build(records)
    assert len(session.calls) == sum(r["phase"] == "call" for r in records)
    returned = {r["call"] for r in records if r["phase"] == "return"}
    for index, call in enumerate(session.calls):
        assert call.args == {"n": call.call}
        assert (call.outcome is Outcome.RETURNED) == (call.call in returned)
        if call.call in returned:
            assert call.result == call.call
            assert 0 <= (call.self_ns or 0) <= (call.dur_ns or 0)
        ancestors = []
        at = call.parent
        while at is not None:
            assert at not in ancestors and at != index
            ancestors.append(at)
            at = session.calls[at].parent
        assert call.depth == len(ancestors)


@settings(max_examples=100, deadline=None)
@given(interleavings(), st.randoms())
def test_lost_and_doubled_records_do_no_harm(records, rng):
    damaged = [r for r in records for _ in range(rng.choice((0, 1, 1, 1, 2)))]
    session = Session.build(damaged)
    summary = Summary()
    for record in damaged:
        summary.feed(record)
    summary.finish()
    tracked = list(track(damaged))
    assert len(tracked) == len(session.calls)
    callers = sum(not call.is_callee for call in tracked)
    assert sum(row.calls for row in summary.rows.values()) == callers


def stream(count: int, lose: bool = False) -> Iterator[dict[str, Any]]:
    rng = random.Random(7)
    for number in range(count):
        common = {"instance": number % 5, "call": number, "edge": "import", "func": "f"}
        common |= {"interface": f"a:b/i{number % 7}"}
        yield {"phase": "call", "t_ns": number, "args": {"text": "x" * 50}, **common}
        if not lose or rng.random() < 0.5:
            result = {"error": "no"} if number % 10 == 0 else {"ok": None}
            yield {"phase": "return", "t_ns": number + 5, "dur_ns": 5, "result": result, **common}


def test_the_summary_does_not_keep_calls():
    tracemalloc.start()
    summary = Summary()
    for record in stream(100_000):
        summary.feed(record)
    summary.finish()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 500_000
    assert sum(row.calls for row in summary.rows.values()) == 100_000
    assert sum(row.errors for row in summary.rows.values()) == 10_000
    assert sum(row.total_ns for row in summary.rows.values()) == 500_000


def test_lost_returns_are_given_up_in_the_end():
    tracker = Tracker(max_open=100)
    given_up = 0
    for record in stream(5000, lose=True):
        tracker.feed(record)
        given_up += len(tracker.given_up)
        tracker.given_up.clear()
    assert len(tracker.unfinished()) <= 100
    assert given_up > 2000


def test_a_call_without_times_stands_between_those_that_have_some():
    """Where a component may not call out, no clock is asked."""
    log = Log()
    handle = log.enter(HANDLE, edge="export")
    log.call(OPEN, {"ok": 1}, identifier="s")
    for phase in ("call", "return"):
        log.records += [
            {"v": 1, "seq": 9, "instance": 1, "call": 99, "phase": phase, "edge": "builtin"}
            | {"func": "[resource-rep]x"}
        ]
    log.leave(HANDLE, handle)
    session = Session.build(log)
    assert session.timed
    assert [(c.site.func, c.start_ns, c.dur_ns) for c in session.calls] == [
        ("handle", 1000, 3000),
        ("open", 2000, 1000),
        ("[resource-rep]x", 3000, None),
    ]
    [lane] = lanes(session)
    # From the first call on.
    assert [(piece.start, piece.end) for piece in lane.slices] == [
        (0, 3000),
        (1000, 2000),
        (2000, 2000),
    ]


def test_a_task_that_has_returned_its_result_needs_no_other_record():
    log = Log()
    handle = log.enter(HANDLE, edge="export")
    log.enter("task.return", edge="builtin", args={"result": {"error": "refused"}})
    log.leave(HANDLE, handle, pending=True, status=0)
    session = Session.build(log)
    returned = by_func(session)["task.return"]
    assert (returned.outcome, returned.failed) == (Outcome.RETURNED, True)
    summary = Summary()
    for record in log:
        summary.feed(record)
    summary.finish()
    assert not any(row.unfinished for row in summary.rows.values())
    text = "".join(strace.render(log, RenderOptions()))
    assert 'task.return(error("refused"))\n' in text


def test_many_concurrent_instances_take_linear_time():
    log = [
        {"instance": side, "call": n, "phase": phase, "edge": edge, "func": "f"}
        | {"interface": "a:b/c", "t_ns": t, **({"dur_ns": 4} if phase == "return" else {})}
        for n in range(20_000)
        for side, edge, phase, t in (
            (1, "inner", "call", n * 10),
            (2, "export", "call", n * 10 + 1),
            (2, "export", "return", n * 10 + 5),
            (1, "inner", "return", n * 10 + 6),
        )
    ]
    log.sort(key=lambda record: -record["instance"])
    session = Session.build(log)
    assert sum(call.depth for call in session.calls) <= 20_000

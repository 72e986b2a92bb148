"""`-f chrome`, read by Perfetto's trace_processor, says what the log does."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.render.random_tasks import Program
from tests.render.shown import shown
from tests.render.test_tasks import torn
from tests.viewers.logs import LOGS, log_of, times
from tests.viewers.perfetto import TraceProcessor
from whamm_cm.trace.flows import flows
from whamm_cm.trace.records import Record
from whamm_cm.trace.session import Session

pytestmark = pytest.mark.oracle

#: Every slice with the process and thread it is on; asynchronous ones are on tracks of processes.
_SLICES = """
select s.id, s.parent_id, s.ts, s.dur, s.name, s.category,
coalesce(p.name, q.name) as process, t.name as thread
from slice s left join thread_track k on s.track_id = k.id left join thread t using (utid)
left join process p using (upid)
left join process_track o on s.track_id = o.id left join process q on o.upid = q.upid
order by s.ts, s.dur desc, s.id
"""
_ARGS = """
select s.id, a.key, a.string_value, a.int_value, a.real_value
from slice s join args a using (arg_set_id)
"""


def read(name: str, records: list[Record], trace_processor: TraceProcessor) -> list[Any]:
    """The slices; nothing of the trace was dropped, or not understood."""
    trace_processor.load(shown("chrome", records))
    stats = trace_processor.rows("select name, severity, value from stats where value > 0")
    assert [row for row in stats if row[1] != "info"] == [], name
    return trace_processor.rows(_SLICES)


def seen(text: str) -> str:
    """What the engine makes of a text: what cannot be printed stays as JSON has it escaped."""
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def check(name: str, records: list[Record], trace_processor: TraceProcessor) -> None:
    rows = read(name, records, trace_processor)
    session = Session.build(records)
    found, spans, waits = (Counter[tuple[Any, ...]]() for _ in range(3))
    for _, _, start, took, item, category, process, thread in rows:
        edge = category.split(",")[0]
        if edge == "waiting":
            waits[process, took] += 1
        elif item.endswith((" returned", " cancelled")) and took == 0:
            continue
        elif thread is None:
            spans[process, item, edge, start, took] += 1
        else:
            found[process, item, edge, start, took] += 1
    assert spans == expected_spans(session)
    whole = Counter(
        (seen(c.site.component) or "component", seen(c.site.shown), c.site.edge, start, took)
        for c, start, took in times(session)
        if not c.waited_later
    )
    assert whole <= found
    assert Counter(name for _, name, *_ in (found - whole).elements()) == Counter(
        c.site.shown for c in session.calls if c.waited_later
    )
    # A wait that a torn log has at a time when something else ran is left out.
    assert waits <= Counter(
        (c.site.component or "component", last - first) for c in session.calls
        for first, last in c.waits
    )  # fmt: skip


def expected_spans(session: Session) -> Counter[tuple[Any, ...]]:
    """Asynchronous calls, and when they started if that was told later."""
    found = Counter[tuple[Any, ...]]()
    for call, start, took in times(session):
        if call.waited_later and call.opened is not None:
            where = call.site.component or "component", call.site.shown, call.site.edge
            found[*where, start, took] += 1
            if call.starting_ns is not None:
                found[*where, start + call.starting_ns, 0] += 1
    return found


@pytest.mark.parametrize("name", LOGS)
def test_perfetto_shows_every_call(name: str, trace_processor: TraceProcessor) -> None:
    check(name, log_of(name), trace_processor)


@given(torn)
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
def test_perfetto_shows_random_tasks(trace_processor: TraceProcessor, program: Program) -> None:
    check("random", program.records, trace_processor)


@pytest.mark.parametrize("name", ["http", "hostile"])
def test_perfetto_nests_calls_as_they_were(name: str, trace_processor: TraceProcessor) -> None:
    """Without tasks: who is above a slice is who called."""
    rows = read(name, log_of(name), trace_processor)
    session = Session.build(log_of(name))
    names = {row[0]: row[4] for row in rows}
    found = Counter((row[4], names.get(row[1]), row[2]) for row in rows)
    assert found == Counter(
        (
            seen(call.site.shown),
            None if call.parent is None else seen(session.calls[call.parent].site.shown),
            start,
        )
        for call, start, _ in times(session)
    )


@pytest.mark.parametrize("name", ["odd", "late"])
def test_perfetto_nests_by_the_nanosecond(name: str, trace_processor: TraceProcessor) -> None:
    """Each call says in whom it was made."""
    rows = {row[0]: row for row in read(name, log_of(name), trace_processor)}
    above = {n: text for n, key, text, *_ in trace_processor.rows(_ARGS) if key.endswith(".above")}
    assert len(above) == len(rows) > 150
    for number, row in rows.items():
        assert above[number] == (rows[row[1]][4] if row[1] is not None else "nobody")


@pytest.mark.parametrize("name", ["tasks", "random"])
def test_perfetto_draws_the_arrows(name: str, trace_processor: TraceProcessor) -> None:
    records = log_of(name)
    rows = {row[0]: row for row in read(name, records, trace_processor)}
    pairs = trace_processor.rows("select slice_out, slice_in from flow")
    session = Session.build(records)
    starts = {id(call): start for call, start, _ in times(session)}
    expected = Counter(
        tuple((call.site.shown, starts[id(call)]) for call in map(session.calls.__getitem__, pair))
        for pair in flows(session)
    )
    assert expected and expected == Counter(
        tuple((rows[number][4], rows[number][2]) for number in pair) for pair in pairs
    )


@pytest.mark.parametrize("name", ["http", "values", "tasks"])
def test_perfetto_has_arguments_and_results(name: str, trace_processor: TraceProcessor) -> None:
    records = log_of(name)
    rows = {row[0]: row for row in read(name, records, trace_processor) if row[7] is not None}
    found = Counter[tuple[Any, ...]]()
    for number, key, text, integer, real in trace_processor.rows(_ARGS):
        if number in rows:
            value = next((v for v in (text, integer, real) if v is not None), None)
            found[rows[number][4], rows[number][2], key, value] += 1
    session, expected = Session.build(records), Counter[tuple[Any, ...]]()
    for call, start, _ in times(session):
        said: dict[str, Any] = {"args": call.args}
        if call.has_result and not call.waited_later:
            said["result"] = call.result
        for key, value in leaves("args", said):
            expected[call.site.shown, start, key, value] += 1
    assert {row for row in expected if row[3] != ""} <= set(found)
    assert sum(expected.values()) > (20 if name == "values" else 8)


def leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """As Perfetto names them: ``args.a.b[0]``."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from leaves(f"{key}.{name}", inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(f"{key}[{number}]", inner)
    elif value is not None:
        yield key, seen(value) if isinstance(value, str) else value

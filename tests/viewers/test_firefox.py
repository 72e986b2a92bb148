"""`-f firefox`, read by the Firefox Profiler's own code, says what the log does."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings

from tests.render.random_tasks import Program
from tests.render.shown import shown
from tests.render.test_hostile import SLOW
from tests.render.test_hostile import records as odd_records
from tests.render.test_pprof import tree
from tests.render.test_tasks import programs, torn
from tests.trace.records import Log
from tests.viewers.firefox import reading
from tests.viewers.logs import LOGS, log_of, times
from whamm_cm.render.safe import printable
from whamm_cm.render.wave import ValueStyle, wave
from whamm_cm.trace.records import Record, fault_of
from whamm_cm.trace.session import Session


def ns(milliseconds: float) -> int:
    """Times are floating-point numbers there, and good to the nanosecond."""
    return round(milliseconds * 1e6)


def name_of(call: Any) -> str:
    kind = f"{call.site.edge} " if call.site.edge in ("export", "inner") else ""
    return printable(kind + call.site.shown)


def label_of(call: Any) -> str:
    style = ValueStyle(max_string=1 << 30)
    args = ", ".join(f"{printable(k)}={wave(v, style)}" for k, v in call.args.items())
    return f"{args} → {wave(call.result, style) if call.has_result else ''}"


def write(records: list[Record], tmp_path: Path) -> Path:
    path = tmp_path / "run.firefox.json"
    path.write_text(shown("firefox", records))
    return path


# --- our own reading ------------------------------------------------------------------------------


def document(records: list[Record] | Log) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shown("firefox", records))
    return found


def well_formed(profile: dict[str, Any]) -> None:
    """Columns are as long as their tables, and numbers lead somewhere."""
    shared = profile["shared"]
    texts = shared["stringArray"]
    assert len(set(texts)) == len(texts) and all(text.isprintable() for text in texts)
    tables = [table for name, table in shared.items() if name != "stringArray"]
    for thread in profile["threads"]:
        tables += [thread["samples"], thread["markers"]]
    for table in tables:
        for column in table.values():
            assert not isinstance(column, list) or len(column) == table["length"]
    stacks, functions = shared["stackTable"], shared["funcTable"]
    for at, prefix in enumerate(stacks["prefix"]):
        assert prefix is None or 0 <= prefix < at
    assert all(0 <= frame < shared["frameTable"]["length"] for frame in stacks["frame"])
    assert all(0 <= name < len(texts) for name in functions["name"])
    assert all(-1 <= one < shared["resourceTable"]["length"] for one in functions["resource"])
    kinds = {schema["name"] for schema in profile["meta"]["markerSchema"]}
    many = len(profile["meta"]["categories"])
    assert all(0 <= one < many for one in shared["frameTable"]["category"])
    for thread in profile["threads"]:
        _well_formed_thread(thread, kinds, many, stacks["length"])


def _well_formed_thread(thread: dict[str, Any], kinds: set[str], many: int, stacks: int) -> None:
    samples, markers = thread["samples"], thread["markers"]
    assert samples["time"] == sorted(samples["time"])
    assert all(stack is None or 0 <= stack < stacks for stack in samples["stack"])
    assert all(weight >= 0 for weight in samples["weight"])
    assert all(data["type"] in kinds for data in markers["data"])
    assert all(0 <= one < many for one in markers["category"])
    for start, end in zip(markers["startTime"], markers["endTime"], strict=True):
        assert start <= end


@given(programs | torn)
@settings(max_examples=40)
def test_random_tasks_are_well_formed(program: Program) -> None:
    profile = document(program.records)
    well_formed(profile)
    found = Counter(
        (thread["name"], data["type"])
        for thread in profile["threads"]
        for data in thread["markers"]["data"]
    )
    calls = Session.build(program.records).calls
    assert sum(n for (_, kind), n in found.items() if kind == "call") == len(calls)
    later = [call for call in calls if call.waited_later and call.opened is not None]
    assert sum(n for (_, kind), n in found.items() if kind == "async") == len(later)


@SLOW
@given(odd_records().filter(lambda record: not fault_of(record)))
def test_any_record_makes_a_profile(record: Record) -> None:
    well_formed(document([record]))


def test_what_is_lost_and_only_counted_is_said() -> None:
    records = log_of("composed")
    start = {"v": 2, "phase": "start", "instance": 1, "wall_ns": 5_000_000_000, "t_ns": 0}
    meta = document([start, *records])["meta"]
    assert meta["startTime"] == 5000.001
    entries = {row["label"]: row["value"] for row in meta["extra"][0]["entries"]}
    assert entries["wasi:clocks/monotonic-clock#now"] == "41 calls"
    assert entries["lost"].startswith("7 records were lost")
    untimed = document(log_of("untimed"))["meta"]["extra"][0]["entries"]
    assert untimed[0] == {"label": "clock", "format": "string",
                          "value": "records, 1 µs each (this log has no times)"}  # fmt: skip


# --- the profiler's -------------------------------------------------------------------------------


@pytest.mark.oracle
@pytest.mark.parametrize("name", LOGS)
def test_the_profiler_shows_every_call(name: str, tmp_path: Path) -> None:
    records = log_of(name)
    session = Session.build(records)
    with reading(write(records, tmp_path)) as profiler:
        threads = profiler.threads()
        begin = profiler.ask("profile", "info")["context"]["rootRange"]["start"]
        found = Counter[tuple[object, ...]]()
        waits = Counter[tuple[str, int]]()
        for thread in threads:
            for marker in profiler.markers(thread["threadHandle"]):
                start, took = ns(marker["start"] + begin), ns(marker["duration"])
                if marker["category"] == "peers":
                    continue
                if marker["name"] == "(waiting)":
                    waits[thread["process"], took] += 1
                    continue
                found[thread["process"], marker["name"], marker["label"], start, took] += 1
    expected = Counter(
        (printable(call.site.component) or "component", name_of(call), label_of(call), start, took)
        for call, start, took in times(session)
    )
    # Where a caller went on before, the call is there a second time: as long as it was kept.
    assert not expected - found
    rest = found - expected
    later = Counter(name_of(call) for call in session.calls if call.waited_later)
    assert Counter(name for _, name, *_ in rest.elements()) == later
    assert waits == Counter(
        (printable(call.site.component) or "component", last - first)
        for call in session.calls
        for first, last in call.waits
    )


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["http", "values", "hostile"])
def test_its_call_tree_has_the_times_of_the_log(name: str, tmp_path: Path) -> None:
    """Without tasks, time of its own is what a thread's stack lasted."""
    records = log_of(name)
    with reading(write(records, tmp_path)) as profiler:
        found = Counter[tuple[str, ...]]()
        for thread in profiler.threads():
            for stack, weight in profiler.weights(thread["threadHandle"]).items():
                found[stack] += ns(weight)
    session, expected = Session.build(records), Counter[tuple[str, ...]]()
    for call in session.calls:
        frames, at = [name_of(call)], call
        while at.parent is not None:
            at = session.calls[at.parent]
            frames.append(name_of(at))
        expected[tuple(reversed(frames))] += call.self_ns or 0
    assert +found == +expected


@pytest.mark.oracle
def test_the_profiler_knows_arguments_requests_and_peers(tmp_path: Path) -> None:
    shop = Path(__file__).parents[2] / "docs/examples/shop.jsonl"
    records = [json.loads(text) for text in shop.read_text().splitlines()]
    with reading(write(records, tmp_path)) as profiler:
        markers = {
            marker["name"]: marker["handle"]
            for thread in profiler.threads()
            for marker in profiler.markers(thread["threadHandle"])
        }
        (peer,) = [handle for name, handle in markers.items() if name.startswith("GET ")]
        info = profiler.ask("marker", "info", marker=peer)
        fields = {field["key"]: field["formattedValue"] for field in info["fields"]}
        assert fields["peer"] == "stock.internal:8443"
        assert fields["url"].startswith("https://stock.internal:8443/v1/items/")
        handle = markers["export wasi:http/incoming-handler#handle"]
        info = profiler.ask("marker", "info", marker=handle)
        assert info["category"]["name"] == "wasi:http"
        fields = {field["key"]: field["formattedValue"] for field in info["fields"]}
        assert fields["edge"] == "export" and fields["request"] in "1234"
        assert "request=" in fields["args"]


@pytest.mark.oracle
def test_the_profiler_shows_reported_trees(tmp_path: Path) -> None:
    records = [
        tree("stacks", [[1, [0, "main", 1, 5]], [2, [1, "work", 2, 9]], [3, [2, "deep", 3, 0]]]),
        tree("allocated", [[1, [0, "main", 1, 3]]]),
    ]
    with reading(write(records, tmp_path)) as profiler:
        found = {t["name"]: profiler.weights(t["threadHandle"]) for t in profiler.threads()}
    assert found == {
        "flame:stacks instance 1": {("main",): 5, ("main", "work"): 9},
        "flame:allocated instance 1": {("main",): 3},
    }


@pytest.mark.oracle
def test_the_profiler_reads_an_empty_log_and_a_long_one(tmp_path: Path) -> None:
    with reading(write([], tmp_path)) as profiler:
        (thread,) = profiler.threads()
        assert (thread["process"], profiler.markers(thread["threadHandle"])) == ("component", [])
    (tmp_path / "long").mkdir()
    program = Program(Random(1), 200).run()
    with reading(write(program.records, tmp_path / "long")) as profiler:
        many = sum(len(profiler.markers(t["threadHandle"])) for t in profiler.threads())
    calls = Session.build(program.records).calls
    waits = sum(len(call.waits) for call in calls)
    assert many == len(calls) + waits + sum(call.waited_later for call in calls)

"""Results over component instances: values by their types, counts, call trees, what was lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.render.shown import shown
from tests.trace.records import Log, with_ends
from whamm_cm.render.options import RenderOptions
from whamm_cm.trace.losses import Losses
from whamm_cm.trace.merge import adds_up, merged
from whamm_cm.trace.session import Session
from whamm_cm.trace.summary import Summary, once
from whamm_cm.trace.types import parse_type

PARTS = RenderOptions(per_instance=True)
RUN = "00112233445566ff"


def said(var: str, t: str, value: Any, instance: int = 1, **more: Any) -> dict[str, Any]:
    head = {"v": 2, "run": RUN, "instance": instance, "phase": "report", "script": "s"}
    return {**head, "var": var, **more, "type": t, "value": value}


@pytest.mark.parametrize(
    ("kind", "values", "whole"),
    [
        ("u32", [4294967295, 2], 4294967297), ("u64", ["18446744073709551615", 1], 1 << 64),
        ("i32", [-5, 3], -2), ("bool", [True, False], False), ("str", ["a", "b"], "b"),
        ("f64", [0.5, 0.25], 0.25), ("(u32, u32)", [[1, 2], [3, 4]], [3, 4]),
        ("min", [None, 7, 3], 3), ("min", [None, None], None), ("max", [-4, None], -4),
        ("avg", [[2, 10], [3, 5]], [5, 15]),
        ("hist", [[[4, 1], [8, 2]], [[0, 1], [8, 5]]], [[0, 1], [4, 1], [8, 7]]),
        ("stats", [[2, 10], [3, -5]], [5, 5]),
        ("quantize", [[[-8, 1], [0, 2]], [[-8, 2], [16, 5]]], [[-8, 3], [0, 2], [16, 5]]),
        ("lhist(0, 20, 10)", [[[0, 1]], [[-(1 << 63), 2], [0, 1], [20, 1]]],
         [[-(1 << 63), 2], [0, 2], [20, 1]]),
        ("map<str, lhist(-5,5,1)>", [[["a", [[1, 1]]]], [["a", [[1, 2]]]]], [["a", [[1, 3]]]]),
        ("map<str, u32>", [[["a", 1]], [["b", 2], ["a", 3]]], [["a", 4], ["b", 2]]),
        ("map<str, map<u8, avg>>", [[["a", [[1, [1, 2]]]]], [["a", [[1, [1, 4]]]]]],
         [["a", [[1, [2, 6]]]]]),
        ("map<u8, str>", [[[1, "x"]], {"~cut": 3, "~list": [[1, "y"]]}], [[1, "y"]]),
    ],
)  # fmt: skip
def test_values_are_merged_by_type(kind: str, values: list[Any], whole: Any) -> None:
    assert merged(parse_type(kind), values) == whole
    assert merged(parse_type(kind), values[:1]) == values[0]
    name = "last" if kind in ("bool", "str", "f64", "(u32, u32)", "map<u8, str>") else ""
    assert adds_up(parse_type(kind)) is not bool(name)


@given(st.lists(st.integers(-9, 9), min_size=1))
def test_aggregations_are_those_of_all_samples(samples: list[int]) -> None:
    middle = len(samples) // 2
    parts = [part for part in (samples[:middle], samples[middle:]) if part]
    for name, of in (("min", min), ("max", max)):
        assert merged(parse_type(name), [of(part) for part in parts]) == of(samples)
    sums = [[len(part), sum(part)] for part in parts]
    assert merged(parse_type("avg"), sums) == [len(samples), sum(samples)]


@pytest.mark.parametrize("name", ["table", "json", "csv", "whamm"])
def test_a_request_each_is_one_table(name: str) -> None:
    """What a host shows that makes an instance per request."""
    records = [
        record
        for n in range(1, 301)
        for record in (
            said("requests", "map<str, u32>", [["/", 1], [f"/{n % 2}", 1]], n),
            said("calls", "u64", 2, n),
        )
    ]
    text = shown(name, records)
    assert "600" in text and text.count("calls") == 1
    assert ("300 instances" in text) == (name == "table")
    parts = shown(name, records, PARTS)
    assert parts.count("\n") > 300 and parts.count("600") == 0
    if name == "json":
        assert [cell["instances"] for cell in json.loads(text)["cells"]] == [300, 300]


def test_the_last_of_several_instances_is_named_so() -> None:
    text = shown("table", [said("mode", "str", "a", 1), said("mode", "str", "b", 2)])
    assert text == "mode  b  (the last of 2 instances)\n"


def test_counts_of_all_instances_are_summed() -> None:
    log = Log()
    for instance in range(1, 31):
        log.instance = instance
        log.add("report", "a:b/c#f", 0, count=2)
        log.call("a:b/c#g", {"ok": None})
    lines = shown("summary", log.records).splitlines()
    assert [line.split()[-1] for line in lines if "a:b" in line] == ["a:b/c#g", "a:b/c#f"]
    assert lines[-1].split()[2] == "90"
    assert shown("summary", log.records, PARTS).count("[17] a:b/c#") == 2


@pytest.mark.parametrize(
    ("counts", "calls"),
    [([5], 5), ([5, 5], 5), ([5, 3, 8], 8), ([5, 3], 8), ([0, 0], 0), ([], 0), ([4, 1, 2], 7)],
)
def test_counted_calls_between_components_count_once(counts: list[int], calls: int) -> None:
    assert once(counts) == calls
    summary = Summary()
    for instance, count in enumerate(counts, 1):
        record = {"instance": instance, "phase": "report", "count": count, "edge": "inner"}
        summary.feed({**record, "func": "f"})
    summary.finish()
    assert sum(row.calls for row in summary.rows.values()) == calls


def test_a_call_between_components_counts_for_its_caller() -> None:
    log = Log()
    outer = log.enter("a:b/c#f", edge="inner", component="out")
    inner = log.enter("a:b/c#f", edge="inner", component="in", instance=2)
    log.call("a:b/d#g", 1)
    log.leave("a:b/c#f", inner, result={"error": 1})
    log.leave("a:b/c#f", outer, result={"error": 1})
    summary = Summary()
    for record in log:
        summary.feed(record)
    summary.finish()
    row = summary.rows["inner", "a:b/c#f", 0]
    assert (row.calls, row.errors, row.timed) == (1, 1, 1)
    alone = Summary()
    for record in log.records[1:-1]:  # only the callee's side is recorded
        alone.feed(record)
    alone.finish()
    assert alone.rows["inner", "a:b/c#f", 0].calls == 1


# --- errors --------------------------------------------------------------------------------------

HTTP = "wasi:http/types#"


def errors(log: Log) -> dict[str, int]:
    summary = Summary()
    for record in log:
        summary.feed(record)
    summary.finish()
    assert {call.site.item for call in Session.build(log).calls if call.failed} == {
        row.item for row in summary.rows.values() if row.errors
    }
    return {row.item.rpartition("#")[2]: row.errors for row in summary.rows.values() if row.errors}


def test_a_hundred_requests_that_could_not_connect() -> None:
    log = Log()
    for _ in range(100):
        log.call(HTTP + "future-incoming-response.get", None, 7)
        log.call(
            HTTP + "future-incoming-response.get",
            {"ok": {"error": {"connection-refused": None}}},
            7,
        )
        log.call(HTTP + "future-incoming-response.get", {"some": {"ok": {"ok": 4}}}, 7)
    assert errors(log) == {"future-incoming-response.get": 100}


@pytest.mark.parametrize(
    ("status", "failed"), [(200, 0), (404, 0), (499, 0), (500, 100), (503, 100)]
)
def test_a_hundred_answers_with_a_status(status: int, failed: int) -> None:
    log = Log()
    for _ in range(100):
        handle = log.enter("wasi:http/incoming-handler#handle", edge="export")
        log.call(HTTP + "incoming-response.status", status, 4)
        log.call(HTTP + "outgoing-response.set-status-code", {"ok": None}, 5, status_code=status)
        log.leave("wasi:http/incoming-handler#handle", handle)
    names = ("incoming-response.status", "outgoing-response.set-status-code", "handle")
    assert errors(log) == (dict.fromkeys(names, failed) if failed else {})


def test_the_last_word_about_an_answer_counts() -> None:
    log = Log()
    handle = log.enter("wasi:http/incoming-handler#handle", edge="export")
    for status in (500, 200):
        log.call(HTTP + "response.set-status-code", {"ok": None}, 5, status_code=status)
    log.leave("wasi:http/incoming-handler#handle", handle)
    assert errors(log) == {"response.set-status-code": 1}
    handle = log.enter("wasi:http/incoming-handler#handle", edge="export")
    log.call(HTTP + "response-outparam.set", ..., param=1, response={"error": "x"})
    log.leave("wasi:http/incoming-handler#handle", handle)
    assert errors(log) == {"response.set-status-code": 1, "response-outparam.set": 1, "handle": 1}


@pytest.mark.parametrize(
    "result",
    [{"ok": {"dir": None}}, {"error-code": 1}, [{"error": 1}], {"a": {"error": 1}}, "error"],
)
def test_what_is_no_error(result: Any) -> None:
    log = Log()
    log.call("a:b/c#f", result)
    assert errors(log) == {}


# --- losses --------------------------------------------------------------------------------------

ZERO = said("instructions", "u64", 0, 0)
LOST = {"v": 2, "run": RUN, "phase": "lost", "lost": "unknown", "why": "trap"}


def test_never_a_zero_that_nobody_counted() -> None:
    assert shown("table", [ZERO]) == "instructions  0\n"
    text = shown("table", [ZERO, LOST])
    assert text.startswith("instructions  unknown\n") and "the guest trapped" in text
    (cell,) = json.loads(shown("json", [ZERO, LOST]))["cells"]
    assert cell["value"] is None and cell["unknown"] is True
    assert json.loads(shown("json", [ZERO, LOST]))["lost"] == "unknown"
    assert shown("csv", [ZERO, LOST]).splitlines()[1].endswith(",unknown")
    assert ", unknown\n" in shown("whamm", [ZERO, LOST])
    counted = shown("table", [ZERO, said("instructions", "u64", 7), LOST])
    assert counted.startswith("instructions  7\n") and "values may be missing" in counted
    # A number of records that is known is no reason to doubt a zero.
    assert shown("table", [ZERO, {**LOST, "lost": 3}]).startswith("instructions  0\n")


def test_many_places_of_which_nothing_is_known() -> None:
    places = [said("count", "u64", 0, 0, fid=1, pc=pc) for pc in range(30)]
    assert "(30 places: unknown)" in shown("table", [*places, LOST])
    maps = [said("m", "map<u32, u32>", [], 0)]
    assert "unknown" in shown("table", [*maps, LOST]) and "(empty)" in shown("table", maps)


def test_nothing_reported_is_only_said_when_it_is_so() -> None:
    printed = {"v": 2, "instance": 1, "phase": "print", "text": "x"}
    assert shown("table", []) == "nothing was reported\n"
    assert shown("table", [printed]) == ""
    assert shown("table", [LOST]).startswith("nothing is known of what was reported; an unknown")


def test_losses_add_up_and_name_the_remedy() -> None:
    losses = Losses()
    assert losses.sentence() == "" and losses.number == 0
    assert losses.feed({"phase": "dropped", "count": 2}) and losses.number == 2
    assert losses.feed({"phase": "lost", "lost": 1, "why": "line"}) and losses.number == 3
    assert losses.sentence().startswith("3 records were lost: there was no room for them, lines")
    losses.feed(LOST)
    assert losses.number == "unknown" and "--flush each" in losses.sentence("x is y")
    assert losses.sentence("x is y").startswith("at least 3 records were lost")
    assert not losses.feed({"phase": "end"})


def of_run(*records: dict[str, Any]) -> list[dict[str, Any]]:
    found = list(with_ends([{"v": 2, "run": RUN, "instance": 1, **record} for record in records]))
    return found[len(records) :]


CALL, RETURN = (
    {"phase": "call", "func": "f", "call": 1},
    {"phase": "return", "func": "f", "call": 1},
)
START, END = {"phase": "start"}, {"phase": "end"}


def test_a_run_without_its_end_has_lost_something() -> None:
    (lost,) = of_run(START, CALL)
    assert (lost["lost"], lost["why"], lost["run"]) == ("unknown", "killed", RUN)
    assert of_run(START) and of_run(START, CALL, CALL, RETURN)
    assert not of_run(START, CALL, END)  # it has left through exit
    assert not of_run(START, CALL, RETURN) and not of_run(START, CALL, RETURN, END)
    assert not of_run(START, CALL, {"phase": "lost", "lost": "unknown", "why": "trap"})
    assert not list(with_ends([]))
    v1 = [{"v": 1, "instance": 1, **CALL}]
    assert list(with_ends(v1)) == v1


def test_several_runs_each_say_what_they_lack() -> None:
    runs = [{"v": 2, "run": name, "instance": 1, **r} for name in "abc" for r in (START, CALL)]
    runs.append({"v": 2, "run": "b", "instance": 1, "phase": "end"})
    assert [r["run"] for r in list(with_ends(runs))[len(runs) :]] == ["a", "c"]

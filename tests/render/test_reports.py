"""What scripts reported, in every format that shows it; expected texts stand beside the logs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.golden import check_golden
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.registry import RENDERERS
from whamm_cm.render.whamm import float_text, value_text
from whamm_cm.trace.reports import parse_type

DATA = Path(__file__).parent / "data" / "reports"
PLAIN = RenderOptions()
BR_IF, CALL = "0_wasm:opcode:br_if:before", "12_wasm:opcode:call:before"


def said(var: str, t: str, value: Any, instance: int = 1, **place: Any) -> dict[str, Any]:
    head = {"v": 1, "instance": instance, "phase": "report", "script": "script0", "var": var}
    return {**head, **place, "type": t, "value": value}


def at(fid: int, pc: int, fname: str = "", probe: str = BR_IF, module: str = "main") -> Any:
    named = {"fname": fname} if fname else {}
    return {"probe": probe, "module": module, "fid": fid, **named, "pc": pc}


def printed(text: Any, raw: bool = False) -> dict[str, Any]:
    return {"v": 1, "instance": 1, "phase": "print", "text": text, **({"raw": True} if raw else {})}


HIST = [[0, 1], [4, 20], [8, 7], [32, 1]]
LOGS: dict[str, list[dict[str, Any]]] = {
    "modules": [
        printed("hello, ", raw=True), printed("world\n", raw=True), printed("two\nlines"),
        said("taken", "i32", 3, **at(5, 10, "parse")),
        said("taken", "i32", 41, **at(5, 35, "parse")),
        said("taken", "i32", 0, **at(7, 4)),
        said("name", "str", 'a "quoted", text', **at(5, 10, "parse")),
        said("pair", "(i32, (f32, bool))", [1, [-1.5, True]], **at(5, 10, "parse")),
        said("targets", "map<u32, u32>", [[4294967295, 2], [0, 9], [1, 30]], **at(5, 35, "parse")),
        said("count", "u32", 4294967295),
        said("big", "u64", "18446744073709551615"),
        said("ratio", "f64", 0.1),
        said("greeting", "str", "hi"),
        said("seen", "map<(u32, bool), i32>", [[[5, True], 1], [[5, False], 2]]),
        said("empty", "map<str, u32>", []),
    ],
    "components": [
        said("bytes", "hist", HIST),
        said("per_host", "map<str, hist>", [["a.example", HIST], ["b.example", [[1024, 2]]]]),
        said("slowest", "max", 71), said("fastest", "min", None), said("mean", "avg", [4, 10]),
        said("calls", "u32", 5, 1, probe="0_wit:*", module="cart", fname="wasi:io/streams#write"),
        said("calls", "u32", 9, 2, probe="0_wit:*", module="shop", fname="wasi:io/streams#write"),
        said("calls", "u32", 6, 2, probe="1_wit:*", module="shop", fname="wasi:io/\x1b[31mred"),
        {"v": 1, "instance": 2, "phase": "dropped", "count": 2},
    ],
    "nothing": [{"v": 1, "instance": 1, "phase": "call", "func": "f", "call": 1, "edge": "import"}],
}  # fmt: skip
FORMATS = ("table", "json", "csv", "whamm", "strace", "summary")


def rendered(name: str, records: list[dict[str, Any]]) -> str:
    return "".join(RENDERERS[name].render(records, PLAIN))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("log", LOGS)
def test_golden(log: str, name: str) -> None:
    text = rendered(name, LOGS[log])
    assert ("\r\n" in text) == (name == "csv")
    check_golden(DATA / f"{log}.{name}", text.replace("\r\n", "\n"))


@pytest.mark.parametrize(
    ("kind", "zero", "one", "rest"),
    [
        ("u32", 0, 7, "0"), ("u64", "0", "7", "0"), ("bool", False, True, "false"),
        ("str", "", "x", '""'), ("map<u32, u64>", [], [[1, "2"]], "empty"),
    ],
)  # fmt: skip
def test_the_table_leaves_out_many_places_where_nothing_happened(
    kind: str, zero: Any, one: Any, rest: str
) -> None:
    few = [said("n", kind, zero, **at(5, pc)) for pc in range(10)]
    many = [*few, said("n", kind, zero, **at(5, 10))]
    some = [said("n", kind, one, **at(6, 1))]
    assert len(json.loads(rendered("json", many + some))["cells"]) == 12
    shown = rendered("table", few + some)
    assert "others" not in shown and len(shown.splitlines()) > 11
    shown = rendered("table", many + some)
    assert shown.endswith(f"  (11 others: {rest})\n") and len(shown.splitlines()) <= 4
    assert rendered("table", many).splitlines()[1:] == [f"  (11 places: {rest})"]


@pytest.mark.parametrize("log", LOGS)
def test_json_is_json_and_csv_is_csv(log: str) -> None:
    document = json.loads(rendered("json", LOGS[log]))
    rows = list(csv.reader(io.StringIO(rendered("csv", LOGS[log]), newline=""), strict=True))
    assert {len(row) for row in rows} == {len(rows[0])}
    variables = {cell["var"] for cell in document["cells"]}
    assert {row[1] for row in rows[1:]} == variables - {"empty"}


def test_a_histogram_has_no_more_buckets_than_a_script_can_ask_for() -> None:
    """A log may say anything: it must not fill the memory with names of buckets."""
    huge = f"lhist(0, {(1 << 63) - 1}, 1)"
    ours = "lhist(0, 1000, 1)"
    assert "[999, 1000) |" in rendered("table", [said("h", ours, [[0, 1], [999, 2]])])
    assert "|" not in rendered("table", [said("h", huge, [[0, 1], [(1 << 63) - 1, 2]])])


def test_jsonl_keeps_the_keys_in_order() -> None:
    for text, record in zip(
        rendered("jsonl", LOGS["modules"]).splitlines(), LOGS["modules"], strict=True
    ):
        assert list(json.loads(text).items()) == list(record.items())


def test_whamm_orders_by_type_then_place_then_name() -> None:
    records = [
        said("z", "u32", 1), said("a", "map<u32, i32>", []), said("b", "i32", 2),
        said("x", "map<i32, i32>", [[2, 3], [-1, 4]], **at(1, 9)), said("y", "u8", 1, **at(2, 1)),
        said("w", "i32", 1, **at(2, 1)), said("w", "i32", 2, **at(1, 9)),
    ]  # fmt: skip
    rows = rendered("whamm", records).splitlines()[3:]
    assert rows == [
        f"68, memaddr, y, u8, i32, script0, #2, 2, 1, {BR_IF}, 1",
        f"36, memaddr, w, i32, i32, script0, #1, 1, 9, {BR_IF}, 2",
        f"97, memaddr, w, i32, i32, script0, #2, 2, 1, {BR_IF}, 1",
        f"4, memaddr, x, map<i32,i32>, i32, script0, #1, 1, 9, {BR_IF}, -1->4;2->3",
        "0, global_id, b, i32, i32, script0, , , , , 2",
        "1, global_id, z, u32, i32, script0, , , , , 1",
        "0, map_id, a, map<u32,i32>, i32, script0, , , , , empty map",
    ]


def test_whamm_says_nothing_when_there_is_nothing_to_report() -> None:
    assert rendered("whamm", [printed("x")]) == "x\n" and rendered("whamm", []) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.0, "+2e0"), (-1.1, "-1.1e0"), (0.0, "+0e0"), (-0.0, "-0e0"), ("nan", "NaN"),
        ("inf", "+inf"), ("-inf", "-inf"), (3.4028235e38, "+3.4028235e38"), (5e-324, "+5e-324"),
        (123456.0, "+1.23456e5"), (100.0, "+1e2"),
        (1.7976931348623157e308, "+1.7976931348623157e308"),
    ],
)  # fmt: skip
def test_whamm_floats(value: float | str, text: str) -> None:
    assert float_text(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_whamm_floats_read_back(value: float) -> None:
    assert str(float(float_text(value))) == str(value)


def test_whamm_values() -> None:
    tuples = parse_type("(i32, (str, bool))")
    assert value_text(tuples, [1, ["a; b", True]]) == "(1; (a; b; true))"
    keyed = parse_type("map<(u32, bool), u32>")
    pairs = [[[1, True], 3], [[1, False], 2], [[4294967295, True], 4294967294]]
    assert value_text(keyed, pairs) == "(-1,true)->-2;(1,false)->2;(1,true)->3"


def test_raw_prints_go_on_in_their_line() -> None:
    count = {"v": 1, "instance": 1, "phase": "report", "edge": "import", "func": "f", "count": 4}
    records = [printed("a", raw=True), printed("b", raw=True), count, printed("c"), count]
    note = "--- f: 4 calls ---\n"
    assert rendered("strace", records) == f"ab\n{note}c\n{note}"
    assert rendered("strace", [printed({"~cut": 9, "~str": "lon"})]) == "lon…\n"


@pytest.mark.parametrize(
    ("stamps", "wanted"),
    [
        ("start", "0.000000 one\n2.500000 two\nlines\nraw\n2.500001 last\n"),
        ("delta", "0.000000 one\n2.500000 two\nlines\nraw\n0.000001 last\n"),
        ("none", "one\ntwo\nlines\nraw\nlast\n"),
    ],
)
def test_prints_have_the_time_that_lines_have(stamps: Any, wanted: str) -> None:
    times = (7, 7 + 2_500_000_000, 7 + 2_500_001_000)
    records = [{**printed(text), "t_ns": t}
               for text, t in zip(("one", "two\nlines", "last"), times, strict=True)]  # fmt: skip
    records.insert(2, printed("raw", raw=True))
    text = "".join(RENDERERS["strace"].render(records, RenderOptions(stamps=stamps)))
    assert text == wanted

"""What a page is told of what scripts reported."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.render.test_reports import LOGS, at, said
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.page import reports as page
from whamm_cm.render.page.reports import reports
from whamm_cm.render.registry import RENDERERS
from whamm_cm.trace.reports import NOWHERE
from whamm_cm.trace.session import Session

PLAIN = RenderOptions()


def model(records: list[dict[str, Any]], per_instance: bool = False) -> dict[str, Any]:
    found = reports(Session.build(records, per_instance), PLAIN)
    assert found is not None
    again: dict[str, Any] = json.loads(json.dumps(found, allow_nan=False))
    return again


def variable(found: dict[str, Any], name: str) -> dict[str, Any]:
    known: dict[str, dict[str, Any]] = {one["name"]: one for one in found["variables"]}
    assert len(known) == len(found["variables"])
    return known[name]


def rows(one: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows as dictionaries by the names of columns."""
    columns = {
        column["name"]: [
            column["texts"][cell] if "texts" in column and cell is not None else cell
            for cell in column["cells"]
        ]
        for column in one["columns"]
    }
    assert {len(cells) for cells in columns.values()} <= {one["rows"]}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def test_nothing_reported_is_nothing() -> None:
    assert reports(Session.build(LOGS["nothing"]), PLAIN) is None


def test_globals_are_values_and_everything_else_has_rows() -> None:
    found = model(LOGS["modules"])
    assert {one["name"]: one["text"] for one in found["values"]} == {
        "count": "4294967295", "big": "18446744073709551615", "ratio": "0.1", "greeting": "hi",
    }  # fmt: skip
    taken = variable(found, "taken")
    assert taken["common"] == [["probe", "0_wasm:opcode:br_if:before"], ["module", "main"]]
    assert rows(taken) == [
        {"function": "parse", "fid": 5, "pc": 35, "value": 41},
        {"function": "parse", "fid": 5, "pc": 10, "value": 3},
        {"function": "#7", "fid": 7, "pc": 4, "value": 0},
    ]
    assert rows(variable(found, "pair")) == [
        {"function": "parse", "fid": 5, "pc": 10, "value 1": 1, "value 2": "(-1.5, true)"}
    ]
    assert rows(variable(found, "seen")) == [
        {"key 1": 5, "key 2": False, "value": 2},
        {"key 1": 5, "key 2": True, "value": 1},
    ]
    assert variable(found, "empty")["rows"] == 0


def test_histograms_share_their_buckets() -> None:
    found = model(LOGS["components"])
    one = variable(found, "bytes")
    assert [name for _, name in one["buckets"]] == ["0", "1", "2", "4", "8", "16", "32"]
    assert one["counts"] == [[[0, 1], [3, 20], [4, 7], [6, 1]]]
    hosts = variable(found, "per_host")
    assert rows(hosts) == [{"key": "a.example"}, {"key": "b.example"}]
    assert hosts["buckets"][-1] == [1024, "1024"]
    assert hosts["counts"][1] == [[len(hosts["buckets"]) - 1, 2]]
    assert found["losses"].startswith("2 records")


def test_means_and_extremes_have_columns() -> None:
    places = [at(1, pc) for pc in (1, 2)]
    records = [
        *(said("mean", "avg", value, **place)
          for value, place in zip(([3, 10], [0, 0]), places, strict=True)),
        *(said("least", "min", value, **place)
          for value, place in zip((-4, None), places, strict=True)),
        said("all", "map<str, stats>", [["x", [2, "18446744073709551615"]]]),
    ]  # fmt: skip
    found = model(records)
    parts = ("average", "count", "sum")
    assert [tuple(row[part] for part in parts) for row in rows(variable(found, "mean"))] == [
        (10 / 3, 3, 10), (None, 0, 0),
    ]  # fmt: skip
    assert [row["value"] for row in rows(variable(found, "least"))] == [-4, None]
    (row,) = rows(variable(found, "all"))
    assert row["total"] == "18446744073709551615" and row["key"] == "x"


def test_maps_in_maps_are_rows_of_all_their_keys() -> None:
    kind = "map<str, map<(u16, bool), u32>>"
    value = [["a", [[[1, True], 2], [[2, False], 9]]], ["b", []], ["c", [[[7, True], 3]]]]
    found = rows(variable(model([said("n", kind, value)]), "n"))
    assert [tuple(row.values()) for row in found] == [
        ("a", 2, False, 9), ("c", 7, True, 3), ("a", 1, True, 2),
    ]  # fmt: skip


def test_what_nobody_knows_is_no_number() -> None:
    lost = {"v": 1, "instance": 1, "phase": "lost", "lost": "unknown", "why": "line"}
    records = [
        said("n", "u32", 0, NOWHERE, **at(5, 1)), said("n", "u32", 7, **at(5, 2)),
        said("m", "map<u32, u32>", [], NOWHERE), said("g", "u32", 0, NOWHERE), lost,
    ]  # fmt: skip
    found = model(records)
    one = variable(found, "n")
    assert [row["value"] for row in rows(one)] == [7, None] and one["unknown"] == [1]
    assert variable(found, "m")["rest"] == ["(1 maps: unknown)"]
    assert [value["text"] for value in found["values"]] == [None]


def test_rows_have_an_end_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MOST_ROWS", 3)
    value = [[key, key * 7 % 10] for key in range(10)]
    one = variable(model([said("n", "map<u32, u32>", value)]), "n")
    assert [row["value"] for row in rows(one)] == [9, 8, 7]
    assert one["rest"] == ["(7 more rows with smaller values; -f csv has them all)"]


def test_a_call_tree_is_left_to_the_flame_graph() -> None:
    nodes = [[1, [0, "main", 3, 5]], [2, [1, "work", 4, 9]]]
    one = variable(model([said("t", "map<u32, (u32, str, u32, u64)>", nodes)]), "t")
    assert one["kind"] == "tree" and one["nodes"] == 2


@given(st.dictionaries(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)))
def test_no_number_loses_digits(value: dict[int, int]) -> None:
    """JavaScript would round them: they are text beyond 2⁵³."""
    one = variable(model([said("n", "map<u64, u64>", [[k, v] for k, v in value.items()])]), "n")
    read = {int(row["key"]): int(row["value"]) for row in rows(one)}
    assert read == value
    for row in rows(one):
        for cell in row.values():
            assert isinstance(cell, str) or float(cell) == cell and abs(cell) < 2**53


@pytest.mark.parametrize("log", LOGS)
def test_the_page_has_what_the_table_has(log: str) -> None:
    """Every number of a row stands in the table for the terminal, too."""
    text = "".join(RENDERERS["table"].render(LOGS[log], PLAIN))
    found = reports(Session.build(LOGS[log]), PLAIN) or {"variables": [], "values": []}
    for one in found["variables"]:
        assert one["name"] in text
        if one["kind"] == "table":
            assert all(str(row["value"]) in text for row in rows(one) if "value" in row)

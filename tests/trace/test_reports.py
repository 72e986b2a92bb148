"""Reports and prints of scripts: records by sink and decoder, and what a session keeps of them."""

from __future__ import annotations

import io
import json
import random
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent import encode
from tests.agent.agree import both
from tests.agent.encode import Encoder
from tests.agent.harness import Preview1Sink, StderrSink
from tests.agent.sample import line
from tests.strategies import texts, typed_values
from tests.trace.test_decode import text
from whamm_cm.agent.counted import Counted
from whamm_cm.agent.layout import NONE, RecordFlag
from whamm_cm.agent.sites import SiteTableBuilder
from whamm_cm.agent.table import SiteTable
from whamm_cm.agent.variables import Cells, VariableSpec
from whamm_cm.lang import valtypes as vt
from whamm_cm.trace.decode import BlockError, Receiver
from whamm_cm.trace.reader import RecordReader
from whamm_cm.trace.reports import Cell, Place, Reports, Row, declared, initial, parse_type
from whamm_cm.trace.session import Session
from whamm_cm.wit.types import Prim

U32 = Prim("u32")
PLACES = ((3, 10, "main"), (3, 17, "main"), (5, 1, ""), (NONE, NONE, "run"))
SPEC = VariableSpec("script0", "taken", "u32", U32, "0_wasm:opcode:br_if:before", "main")
HEAD = {"script": "script0", "var": "taken", "probe": SPEC.probe, "module": "main"}


def table(*counts: int) -> bytes:
    """Site 0: a variable with the cells of ``PLACES``, 1: what is printed, 2: a script global, 3:
    counters of a module, each of which stands for so many cells of the variable."""
    builder, cells, counted = SiteTableBuilder(), Cells(), Counted()
    for place in PLACES:
        cells.add(*place)
    builder.add_variable(SPEC, cells)
    builder.add_print("script0", "1_wasm:end")
    builder.add_variable(VariableSpec("script0", "total", "u32", U32))
    builder.add_counted("main", counted)
    for number, count in enumerate(counts):
        counted.enter(number // 2, ("main", "")[number // 2])
        counted.add([0] * count, range(10 * number + 5, 10 * number + 5 + count))
    return builder.to_bytes()


def report(site: int, cell: int, value: int) -> bytes:
    return encode.record(site, 2, struct.pack("<I", value), call=cell)


def test_a_report_says_which_variable_of_which_place() -> None:
    block = encode.block(report(0, 1, 7), report(0, 2, 8), report(0, 3, 9), report(2, 0, 5))
    records = both(table(), block)
    first = {"v": 2, "seq": 0, "instance": 1, "phase": "report", **HEAD}
    assert records[0] == {**first, "fid": 3, "fname": "main", "pc": 17, "type": "u32", "value": 7}
    assert list(records[0])[4:] == [*HEAD, "fid", "fname", "pc", "type", "value"]
    assert [(r.get("fid"), r.get("fname"), r.get("pc")) for r in records[1:3]] == [
        (5, None, 1),
        (None, "run", None),
    ]
    last = {"v": 2, "seq": 3, "instance": 1, "phase": "report", "script": "script0"}
    assert records[3] == {**last, "var": "total", "type": "u32", "value": 5}


def test_a_counter_speaks_for_its_cells() -> None:
    body = b"\0\1\4" + b"\1\1\xac\2"  # counter 0 is 4, counter 2 is 300
    records = both(table(2, 1, 2), encode.block(encode.record(3, 2, body, call=0)))
    assert [(r["seq"], r["fid"], r.get("fname"), r["pc"], r["value"]) for r in records] == [
        (0, 0, "main", 5, 4), (1, 0, "main", 6, 4), (2, 1, None, 25, 300), (3, 1, None, 26, 300),
    ]  # fmt: skip
    first = {"v": 2, "seq": 0, "instance": 1, "phase": "report", **HEAD}
    assert records[0] == {**first, "fid": 0, "fname": "main", "pc": 5, "type": "u32", "value": 4}
    assert list(records[0])[4:] == [*HEAD, "fid", "fname", "pc", "type", "value"]


@pytest.mark.parametrize(
    ("body", "message"),
    [(b"\3\1\1", "no counter 3"), (b"\0\1", "cut short"), (b"\0\1\x80", "cut short"),
     (b"\0\x80\x80\x80\x80\x10\1\1\1\1", "no counter 3"), (b"\xff" * 10, "cut short")],
)  # fmt: skip
def test_counters_that_make_no_sense(body: bytes, message: str) -> None:
    receiver = Receiver(SiteTable.parse(table(2, 1, 2)))
    with pytest.raises(BlockError, match=message):
        receiver.receive(encode.block(encode.record(3, 2, body, call=0)))


def test_prints() -> None:
    image, tail = text(b"caf\xc3\xa9\n")
    whole = encode.record(1, 5, image + tail, call=0)
    raw = encode.record(1, 5, image + tail, call=0, flags=RecordFlag.RAW)
    first, second = both(table(), encode.block(whole, raw))
    head = {"v": 2, "seq": 0, "instance": 1, "phase": "print", "script": "script0"}
    assert first == {**head, "probe": "1_wasm:end", "text": "café\n"}
    assert second == {**first, "seq": 1, "raw": True}


@given(typed_values(), st.integers(0, 3), st.randoms(use_true_random=False))
def test_any_value_of_a_variable(typed: tuple[Any, Any], cell: int, rng: random.Random) -> None:
    t, value = typed
    builder, cells = SiteTableBuilder(), Cells()
    for place in PLACES:
        cells.add(*place)
    builder.add_variable(VariableSpec("s", "v", "something", t, "p", "m"), cells)
    encoded = Encoder(rng=rng, damage=0.3).encode(t, value)
    block = encode.block(encode.record(0, 2, encoded.image + encoded.tail, call=cell))
    (record,) = both(builder.to_bytes(), block)
    assert record["value"] == encoded.json or record["value"] != record["value"]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 99) | texts()), max_size=30))
def test_the_sink_of_plain_modules_says_the_same(items: list[tuple[int, int | str]]) -> None:
    data = table()
    sink = Preview1Sink(data)
    records = []
    for cell, value in items:
        if isinstance(value, int):
            records.append(report(0, cell, value))
        else:
            records.append(encode.record(1, 5, b"".join(text(value.encode())), call=0))
    block = encode.block(*records, dropped=3)
    assert sink.send(block, final=False) == 1
    assert sink.writes == [] and sink.send(encode.block(instance=1)) == 1
    *lines, _ = b"".join(sink.writes).split(b"\n")
    said = sink.records(lines)
    receiver = Receiver(SiteTable.parse(data), sink.run)
    receiver.begin()
    received = receiver.receive(block).records
    received += receiver.receive(encode.finished(encode.block(instance=1))).records
    assert said == [line(record) for record in received]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (report(0, 4, 1), "no cell 4"),
        (report(0, 1 << 32, 1), "no cell"),
        (encode.record(0, 5, bytes(12)), "no such records"),
        (encode.record(1, 2, bytes(12)), "no such records"),
        (encode.record(0, 0, bytes(12)), "no such records"),
        (encode.record(0, 2, bytes(2), call=0), "4 bytes are announced"),
        (encode.record(0, 2, bytes(4), call=0, flags=RecordFlag.RAW), "flags 8"),
    ],
)
def test_what_cannot_be_is_refused_and_dropped_by_the_sink(record: bytes, message: str) -> None:
    block, sink = encode.block(record, report(0, 0, 7)), StderrSink(table())
    with pytest.raises(BlockError, match=message):
        Receiver(SiteTable.parse(table())).receive(block)
    sink.send(block)
    kept, lost = (json.loads(each) for each in sink.said())
    assert (kept["value"], lost["lost"]) == (7, 1)


# --- sessions ------------------------------------------------------------------------------------


def said(var: str, t: str, value: Any, instance: int = 1, **place: Any) -> dict[str, Any]:
    head = {"v": 1, "instance": instance, "phase": "report", "script": "s", "var": var}
    return {**head, **place, "type": t, "value": value}


def found(*records: dict[str, Any]) -> list[Cell]:
    return list(Session.build(records).cells)


def test_the_last_value_wins_in_each_instance() -> None:
    session = Session.build([said("n", "u32", 1), said("n", "u32", 5, 2), said("n", "u32", 3)])
    row = Row("s", "n", "u32")
    assert list(session.parts) == [Cell(row, Place(), i, v) for i, v in ((1, 3), (2, 5))]
    assert list(session.cells) == [Cell(row, Place(), 0, 8, instances=2)]


def test_maps_grow_together_from_parts_and_changes() -> None:
    t = "map<(u32, str), u64>"
    parts = ([[[1, "a"], 5], [[2, "b"], 6]], [[[3, "c"], 7]], [[[1, "a"], 8]])
    (cell,) = found(*(said("m", t, part) for part in parts))
    assert cell.value == [[[1, "a"], 8], [[2, "b"], 6], [[3, "c"], 7]]


def test_every_cell_of_the_table_appears() -> None:
    parsed = SiteTable.parse(table())
    block = encode.block(report(0, 1, 7))
    records = [*declared(parsed), *Receiver(parsed).receive(block).records]
    cells = found(*records)
    assert [(c.row.var, c.place.pc, c.instance, c.value) for c in cells] == [
        ("taken", 10, 1, 0), ("taken", 17, 1, 7), ("taken", 1, 1, 0), ("taken", None, 1, 0),
        ("total", None, 1, 0),  # one instance is all there is
    ]  # fmt: skip


@pytest.mark.parametrize("instances", [(), (1,), (1, 2)])
@pytest.mark.parametrize("lost", [False, True])
def test_what_is_declared_at_once_is_as_if_cell_by_cell(
    instances: tuple[int, ...], lost: bool
) -> None:
    """Cells of a module's counters, of which some are reported."""
    parsed = SiteTable.parse(table(2, 1, 3))
    kept = [record for record in declared(parsed) if record["phase"] == "report"]
    (counted,) = (site.counted for site in parsed.sites if site.counted is not None)
    single = [
        {"v": 1, "instance": 0, "phase": "report", **HEAD, "fid": fid, "fname": fname,
         "pc": counted.pcs[cell], "type": "u32", "value": 0}
        for fid, fname, cells in counted.functions() for cell in cells
    ]  # fmt: skip
    heard = [{**single[1], "instance": one, "value": 7 * one} for one in instances]
    for per_instance in (False, True):
        one, other = Reports(), Reports()
        for record in [*declared(parsed), *heard]:
            one.feed(record)
        for record in [*kept[:4], *single, *kept[4:], *heard]:
            other.feed(record)
        cells = list(one.cells(lost, per_instance))
        key = lambda cell: (cell.row.var, cell.place.fid or 0, cell.place.pc or 0, cell.instance)  # noqa: E731
        assert sorted(cells, key=key) == sorted(other.cells(lost, per_instance), key=key)
        assert len(cells) == 1 + 10 * (max(1, len(instances)) if per_instance else 1)


def test_a_saved_log_says_the_same() -> None:
    parsed = SiteTable.parse(table())
    image, tail = text(b"hello")
    printed = encode.record(1, 5, image + tail, call=0)
    block = encode.block(report(0, 1, 7), report(2, 0, 3), printed)
    records = [*declared(parsed), *Receiver(parsed).receive(block).records]
    log = "".join(json.dumps(record) + "\n" for record in records)
    live, saved = Session.build(records), Session.build(RecordReader(io.StringIO(log)))
    assert (live.cells, live.prints) == (saved.cells, saved.prints)
    assert [(p.text, p.raw) for p in live.prints] == [("hello", False)] and len(live.cells) == 5


def test_counts_of_functions_stay_what_they_were() -> None:
    count = {"v": 1, "instance": 1, "phase": "report", "edge": "import", "func": "f", "count": 4}
    session = Session.build([count, said("n", "u32", 1)])
    assert [*session.counts.values()] == [4] and len(session.cells) == 1


def test_a_value_that_was_too_long_for_its_line_keeps_its_place() -> None:
    big = said("t", "str", "")
    del big["value"]
    assert [cell.value for cell in found({**big, "big": True})] == [""]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"phase": "report", "var": "x", "instance": 1}, '"type" is missing'),
        ({"phase": "report", "var": 3, "type": "u32", "instance": 1}, '"var" is not a string'),
        ({"phase": "print", "instance": 1}, '"text" is missing'),
        ({"phase": "report", "var": "x", "type": "u32", "instance": 1, "pc": -1}, '"pc" is not'),
    ],
)
def test_lines_that_are_no_reports(record: dict[str, Any], message: str) -> None:
    reader = RecordReader(io.StringIO(json.dumps(record) + "\n"))
    assert list(reader) == [] and reader.malformed == 1
    assert message in reader.first_fault


TYPES = {
    "u32": 0, "f32": 0.0, "bool": False, "str": "", "()": [], "(i32, (str, f64))": [0, ["", 0.0]],
    "map<(u32, bool), map<str, avg>>": [], "hist": [], "min": None, "avg": [0, 0],
}  # fmt: skip


@pytest.mark.parametrize("name", TYPES)
def test_types_and_their_initial_values(name: str) -> None:
    parsed = parse_type(name)
    assert str(parsed) == name and parse_type(name.replace(" ", "")) == parsed
    assert initial(parsed) == TYPES[name]


@given(st.text("map<>(),u32 ", max_size=12))
def test_no_text_of_a_type_is_too_odd(name: str) -> None:
    assert isinstance(parse_type(name), vt.Prim | vt.TupleT | vt.MapT | vt.AggT)


def test_reports_let_other_records_pass() -> None:
    reports = Reports()
    reports.feed({"v": 1, "instance": 1, "phase": "call", "func": "f", "call": 1})
    assert not [*reports.cells()] and not reports.prints

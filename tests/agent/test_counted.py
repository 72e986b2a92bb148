"""The counters of core modules: columns in the site table, and records about runs of them."""

from __future__ import annotations

import struct
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent.harness import State
from whamm_cm.agent import layout
from whamm_cm.agent.counted import Counted, narrow, pcs_of, unpacked, wide
from whamm_cm.agent.sites import SiteTableBuilder
from whamm_cm.agent.table import SiteTable, SiteTableError, packed_table
from whamm_cm.agent.variables import VariableSpec
from whamm_cm.wit.types import ListT, Prim

U64 = Prim("u64")
PCS = st.integers(0, (1 << 31) - 1)
FUNCTIONS = st.lists(
    st.tuples(
        st.integers(0, 1 << 20),
        st.sampled_from(["", "f", "g"]),
        st.lists(st.lists(st.tuples(st.sampled_from([0, 1]), PCS), min_size=1, max_size=4)),
    ),
    unique_by=lambda function: function[0],
    max_size=5,
)


def built(functions: object, result: object = U64) -> bytes:
    builder, counted = SiteTableBuilder(), Counted()
    for name in ("a", "b"):
        builder.add_variable(VariableSpec("s", name, "u64", result))  # type: ignore[arg-type]
    builder.add_counted("main", counted)
    for fid, name, counters in functions:  # type: ignore[attr-defined]
        counted.enter(fid, name)
        for cells in counters:
            counted.add([row for row, _ in cells], [pc for _, pc in cells])
    return builder.to_bytes()


@given(FUNCTIONS)
def test_what_was_added_is_read_back(functions: list[tuple[int, str, list[object]]]) -> None:
    found = SiteTable.parse(built(functions)).sites[2].counted
    assert found is not None
    expected = [(fid, name, cells) for fid, name, counters in functions for cells in counters]
    got = []
    for number in range(len(found)):
        fid, name, cells = found.place(number)
        got.append((fid, name, [(found.rows[cell], found.pcs[cell]) for cell in cells]))
    assert got == expected
    by_function = [(fid, name, len(cells)) for fid, name, cells in found.functions()]
    assert by_function == [(fid, name, sum(map(len, each))) for fid, name, each in functions]


@given(st.lists(st.integers(0, (1 << 32) - 1)))
def test_a_column_is_as_narrow_as_its_numbers(numbers: list[int]) -> None:
    width, data = narrow(array("I", numbers))
    assert list(wide(data, width)) == numbers
    assert width == 1 or max(numbers) >= 1 << 8 * width // 2


def test_a_million_cells_take_little_room() -> None:
    """A few bytes of a cell, and compressed well below that."""
    counted = Counted()
    for fid in range(100):
        counted.enter(fid, f"function{fid}")
        for start in range(0, 10_000, 5):
            counted.add([0, 1, 0, 0, 1], range(start, start + 10, 2))
    builder = SiteTableBuilder()
    for name in ("a", "b"):
        builder.add_variable(VariableSpec("s", name, "u64", U64))
    builder.add_counted("main", counted)
    data = builder.to_bytes()
    assert len(counted.steps) == 1_000_000 and len(data) < 3_500_000
    assert len(packed_table(data)) < 100_000


DAMAGE = [*((k, 0x7FFFFFF0) for k in range(15)), *((k, 0xFFFFFFFF) for k in range(15)),
          *((k, 0) for k in range(4, 15, 2)), (1, 1), (2, 1), (0, 1)]  # fmt: skip


@pytest.mark.parametrize(("word", "value"), DAMAGE)
def test_damage_is_refused(word: int, value: int) -> None:
    data = bytearray(built([(3, "f", [[(0, 5), (1, 6)], [(1, 7)]]), (4, "g", [[(0, 1)]])]))
    site = layout.TABLE_HEADER + 2 * layout.SITE_SIZE
    (info,) = struct.unpack_from("<I", data, site + layout.SITE_SIZE - 44)
    struct.pack_into("<I", data, info + 4 * word, value)
    with pytest.raises(SiteTableError):
        SiteTable.parse(bytes(data))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [(1, 9, "unknown function"), (2, 9, "do not match"), (3, 0, "do not match"),
     (4, 2, "no variable|not that of a variable"), (4, 99, "not that of a variable"),
     (5, 1, "out of range")],
)  # fmt: skip
def test_contradictions_are_named(column: int, value: int, message: str) -> None:
    data = bytearray(built([(3, "f", [[(0, 5), (1, 6)], [(1, 7)]]), (4, "g", [[(0, 1)]])]))
    site = layout.TABLE_HEADER + 2 * layout.SITE_SIZE
    (info,) = struct.unpack_from("<I", data, site + layout.SITE_SIZE - 44)
    (at,) = struct.unpack_from("<I", data, info + 12 + 8 * column)
    data[at] = value
    with pytest.raises(SiteTableError, match=message):
        SiteTable.parse(bytes(data))


def test_only_single_numbers_are_counted() -> None:
    with pytest.raises(SiteTableError, match="with one number"):
        SiteTable.parse(built([(3, "f", [[(0, 5)]])], ListT(U64)))


def test_a_pc_below_zero_is_none() -> None:
    with pytest.raises(ValueError, match="out of range"):
        pcs_of(array("I", [1]), [1])


# --- records -------------------------------------------------------------------------------------

WORDS = st.one_of(st.integers(0, 3), st.integers(0, (1 << 64) - 1))


def reported(state: State) -> list[tuple[int, int, bytes]]:
    """Site, first counter and body of every record."""
    found = []
    for block in state.sent():
        at = layout.BLOCK_HEADER
        while at < len(block):
            size, word, first = struct.unpack_from("<IIQ", block, at)
            assert word & 255 == layout.Phase.REPORT
            found.append((word >> 8, first, block[at + layout.RECORD_HEADER : at + size]))
            at += size
    return found


def sent(state: State, site: int) -> dict[int, int]:
    found: dict[int, int] = {}
    for number, first, body in reported(state):
        assert number == site and len(body) <= layout.MAX_RECORD - layout.RECORD_HEADER
        for counter, value in unpacked(body, 0, len(body), first):
            assert counter not in found
            found[counter] = value
    return found


@given(
    st.lists(st.lists(WORDS, min_size=40, max_size=40), min_size=1, max_size=4), st.integers(0, 99)
)
def test_what_changed_is_sent_once(rounds: list[list[int]], first: int) -> None:
    state = State()
    state.state_init(layout.STATIC + 1024)
    now, last = layout.STATIC, layout.STATIC + 400
    before = [0] * 40
    for values in rounds:
        state.write(now, struct.pack("<40Q", *values))
        state.report_counts(7, first, now, last, 40)
        changed = {first + k: new for k, new in enumerate(values) if new != before[k]}
        assert sent(state, 7) == changed
        before = values


def test_more_than_a_record_holds() -> None:
    state = State()
    state.state_init(layout.STATIC + 320_000)
    state.memory.grow(state.store, 5)
    values = [(k * 0x9E3779B97F4A7C15) % (1 << 64) if k % 7 else 0 for k in range(20_000)]
    state.write(layout.STATIC, struct.pack("<20000Q", *values))
    state.report_counts(1, 0, layout.STATIC, layout.STATIC + 160_000, 20_000)
    found = sent(state, 1)
    assert found == {k: value for k, value in enumerate(values) if value}
    state.report_counts(1, 0, layout.STATIC, layout.STATIC + 160_000, 20_000)
    assert sent(state, 1) == {}


@given(FUNCTIONS, FUNCTIONS)
def test_many_at_once_and_one_by_one_go_together(
    first: list[tuple[int, str, list[object]]], second: list[tuple[int, str, list[object]]]
) -> None:
    """Columns that come in bulk have fewer bytes for each number."""
    one, both = Counted(), Counted()
    for more, functions in ((0, first), (1 << 21, second)):
        part = Counted()
        for fid, name, counters in functions:
            for counted in (one, part):
                counted.enter(fid + more, name)
                for cells in counters:
                    counted.add([row for row, _ in cells], [pc for _, pc in cells])  # type: ignore[attr-defined]
        names = [part.names[number] for number in part.numbers]
        narrowed = map(narrow, (part.counts, part.rows, part.steps))
        columns = [wide(bytes(data), width) for width, data in narrowed]
        both.extend(zip(part.fids, names, part.sizes, strict=True), *columns)
    both.enter(1 << 22, "late")
    one.enter(1 << 22, "late")
    for counted in (one, both):
        counted.add([1 << 20], [1 << 30])
    numbers = range(len(one.names))
    assert [c.tolist() for c in both.columns(numbers)] == [c.tolist() for c in one.columns(numbers)]

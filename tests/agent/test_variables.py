"""Variables in the site table: rows, cells, and what no builder writes."""

from __future__ import annotations

import struct
from array import array

import pytest

from tests.steps import steps
from whamm_cm.agent.layout import NONE, SITE_SIZE, TABLE_HEADER, SiteKind
from whamm_cm.agent.sites import SiteTableBuilder
from whamm_cm.agent.table import SiteTable, SiteTableError
from whamm_cm.agent.variables import Cells, Variable, VariableSpec
from whamm_cm.wit.types import ListT, Prim, TupleT

U32 = Prim("u32")
TAKEN = VariableSpec("script0", "taken", "u32", U32, "0_wasm:opcode:br_if:before", "main")


def cells(*rows: tuple[int, int, str]) -> Cells:
    found = Cells()
    for number, row in enumerate(rows):
        assert found.add(*row) == number
    return found


def variable(data: bytes, site: int = 0) -> Variable:
    found = SiteTable.parse(data).sites[site].variable
    assert found is not None
    return found


def test_names_of_a_row_and_places_of_its_cells() -> None:
    builder = SiteTableBuilder()
    places = cells((3, 10, "main"), (3, 17, "main"), (5, 1, ""), (NONE, NONE, "wasi:cli/run#run"))
    assert builder.add_variable(TAKEN, places) == 0
    assert builder.add_print("script0", "2_wasm:begin") == 1
    first, second = SiteTable.parse(builder.to_bytes()).sites
    named = (first.version, first.func, first.interface, first.component)
    assert named == ("script0", "taken", "0_wasm:opcode:br_if:before", "main")
    assert (first.kind, second.kind) == (SiteKind.VARIABLE, SiteKind.PRINT)
    assert (second.version, second.interface, second.variable) == ("script0", "2_wasm:begin", None)
    found = first.variable
    assert found is not None and found.cells is not None and found.type == "u32"
    got = [(found.cells.fids[i], found.cells.pcs[i], found.cells.fname(i)) for i in range(4)]
    assert got == [(3, 10, "main"), (3, 17, "main"), (5, 1, ""), (NONE, NONE, "wasi:cli/run#run")]


def test_a_script_global_has_one_cell_and_no_place() -> None:
    builder = SiteTableBuilder()
    pairs = ListT(TupleT((U32, Prim("string"))))
    builder.add_variable(VariableSpec("script0", "m", "map<u32, str>", pairs))
    found = variable(builder.to_bytes())
    assert (found.type, found.size, found.cells) == ("map<u32, str>", 1, None)


def test_cells_may_come_after_the_row() -> None:
    builder, places = SiteTableBuilder(), Cells()
    builder.add_variable(TAKEN, places)
    places.extend([1, 1, 2], [4, 5, 6], ["f", "f", "g"])
    assert variable(builder.to_bytes()).size == 3


def test_a_row_without_any_cell_is_no_global() -> None:
    builder = SiteTableBuilder()
    builder.add_variable(TAKEN, Cells())
    found = variable(builder.to_bytes())
    assert found.size == 0 and found.cells is not None


def test_rows_share_columns_and_names() -> None:
    alone, both = SiteTableBuilder(), SiteTableBuilder()
    places = Cells()
    places.extend(range(1000), range(1000), (f"function {i}" for i in range(1000)))
    alone.add_variable(TAKEN, places)
    both.add_variable(TAKEN, places)
    both.add_variable(TAKEN, places)
    assert len(both.to_bytes()) < len(alone.to_bytes()) + 200
    assert [variable(both.to_bytes(), row).size for row in (0, 1)] == [1000, 1000]


def test_two_hundred_thousand_cells_are_a_matter_of_bulk() -> None:
    builder, places = SiteTableBuilder(), Cells()
    count = 200_000
    places.extend(range(count), range(count), (f"f{i // 40}" for i in range(count)))
    builder.add_variable(TAKEN, places)
    data = builder.to_bytes()
    assert steps(lambda: builder.to_bytes()) + steps(lambda: variable(data)) < count
    found = variable(data)
    assert found.cells is not None and found.cells.pcs == array("I", range(count))
    assert found.cells.fname(count - 1) == f"f{(count - 1) // 40}"


def test_damage_is_refused() -> None:
    """Each word of the row of a variable, and of its cells, set to nonsense."""
    builder = SiteTableBuilder()
    builder.add_variable(TAKEN, cells((1, 2, "f")))
    data = builder.to_bytes()
    (info,) = struct.unpack_from("<I", data, TABLE_HEADER + SITE_SIZE - 44)
    type_at, _, _, columns = struct.unpack_from("<4I", data, info)
    places = {
        "info": TABLE_HEADER + SITE_SIZE - 44, "type": info, "size": info + 4, "cells": info + 8,
        "columns": info + 12, "name": columns + 8,
    }  # fmt: skip
    assert data[type_at : type_at + 3] == b"u32"
    for name, at in places.items():
        for value in (0x7FFFFFF0, 0xFFFFFFFF):
            bad = data[:at] + struct.pack("<I", value) + data[at + 4 :]
            with pytest.raises(SiteTableError):
                SiteTable.parse(bad)
                pytest.fail(f"{name} = {value} was accepted")


def test_contradictions_are_named() -> None:
    builder = SiteTableBuilder()
    builder.add_variable(TAKEN, cells((1, 2, "f"), (1, 3, "f")))
    data = bytearray(builder.to_bytes())
    (info,) = struct.unpack_from("<I", data, TABLE_HEADER + SITE_SIZE - 44)
    struct.pack_into("<I", data, info + 12, 0)
    with pytest.raises(SiteTableError, match="without places"):
        SiteTable.parse(bytes(data))


def test_what_rides_in_the_guest_knows_types_only() -> None:
    """The table of a sink that packs its lines grows with rows, not with cells and their names."""
    builder, places = SiteTableBuilder(), Cells()
    builder.add_variable(TAKEN, places)
    few = builder.to_bytes(named=False)
    places.extend(range(1000), range(1000), (f"function {i}" for i in range(1000)))
    assert builder.to_bytes(named=False) == few
    assert len(builder.to_bytes()) > 12_000 and b"taken" not in few
    assert b"function 999" in builder.to_bytes()

"""The report function's instructions: what changed goes out as records."""

from __future__ import annotations

from typing import TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.emit.script.arithmetic import to_i64
from whamm_cm.emit.script.body import Body
from whamm_cm.emit.script.env import Memory, Place
from whamm_cm.emit.script.places import load, member
from whamm_cm.emit.script.types import description, image_offsets, size_of
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt


@dataclass(frozen=True, slots=True)
class GlobalRow:
    """Site ``site`` shows a global variable, as cell 0."""

    site: int
    variable: t.Variable
    index: int


@dataclass(frozen=True, slots=True)
class CellRow:
    """Site ``site`` shows ``count`` cells that lie one behind the other in state memory, number
    ``first`` first."""

    site: int
    type: vt.Type
    address: int
    count: int
    index: int
    first: int = 0


@dataclass(slots=True)
class CountRow:
    """Site ``site``: ``count`` counters of a core module, number ``first`` first, 8 bytes each from
    ``address`` on.  More may follow as long as nothing else lies behind."""

    site: int
    first: int
    address: int
    count: int = 0

    @property
    def end(self) -> int:
        return self.address + 8 * self.count


Row: TypeAlias = GlobalRow | CellRow


def wanted(row: Row) -> tuple[str, ...]:
    """The runtime functions a row needs."""
    kind = row.variable.type if isinstance(row, GlobalRow) else row.type
    match kind:
        case vt.MapT():
            return ("report_map",)
        case vt.AggT():
            return ("report_agg",)
        case vt.TupleT() | vt.STR:
            return ("rec_begin", "rec_put", "rec_str", "rec_end")
    return ("report_cell",)


def emit_counts(body: Body, row: CountRow, sent: int) -> None:
    """``sent``: where the values last sent are kept."""
    for number in (row.site, row.first, row.address, sent, row.count):
        body.f.i32(number)
    body.run("report_counts")


def emit(body: Body, row: Row, descriptor: dict[bytes, int]) -> None:
    """``descriptor``: addresses of the descriptions of map keys and values."""
    if isinstance(row, GlobalRow):
        place = body.variable(row.variable)
        _value(body, row.site, None, row.index, place, row.variable.type, descriptor)
        return
    f = body.f
    i, base = body.pool.take("i32"), body.pool.take("i32")
    f.i32(0)
    f.set(i)
    f.i32(row.address)
    f.set(base)
    with f.loop() as again:
        _value(body, row.site, i, row.index, Memory(base), row.type, descriptor, row.first)
        f.get(base)
        f.i32(size_of(row.type))
        f.op("i32.add")
        f.set(base)
        f.get(i)
        f.i32(1)
        f.op("i32.add")
        f.tee(i)
        f.i32(row.count)
        f.op("i32.lt_u")
        f.br_if(again)
    body.pool.give(("i32", "i32"), (i, base))


def _value(
    body: Body,
    site: int,
    cell: int | None,
    index: int,
    place: Place,
    type: vt.Type,
    descriptor: dict[bytes, int],
    first: int = 0,
) -> None:
    """``cell``: the local with the cell's number behind ``first``, None: 0."""
    f = body.f
    f.i32(site)
    if cell is None:
        f.i64(first)
    else:
        f.get(cell)
        f.op("i64.extend_i32_u")
        if first:
            f.i64(first)
            f.op("i64.add")
    match type:
        case vt.MapT(key, value):
            load(body, place, type)
            f.i32(descriptor[description(key)])
            f.i32(descriptor[description(value)])
            body.run("report_map")
        case vt.AggT():
            load(body, place, type)
            body.run("report_agg")
        case vt.TupleT() | vt.STR:
            _record(body, place, type)
        case _:
            f.i32(index)
            if cell is not None:
                f.get(cell)
                f.op("i32.add")
            f.i32(image_offsets(type)[1])
            _word(body, place, type)
            body.run("report_cell")


def _word(body: Body, place: Place, leaf: vt.Type) -> None:
    load(body, place, leaf)
    to_i64(body.f, leaf)


def _record(body: Body, place: Place, type: vt.Type) -> None:
    """Stack: site, cell.  Image first, then the bytes of the strings in it."""
    f = body.f
    body.run("rec_begin")
    offsets, size = image_offsets(type)
    with f.if_():
        parts = list(_leaf_places(place, type))
        for offset, (where, leaf) in zip(offsets, parts, strict=True):
            f.i32(offset)
            f.i32(8 if leaf == vt.STR else image_offsets(leaf)[1])
            if leaf == vt.STR:
                load(body, where, leaf)
                f.op("i64.extend_i32_u")
                f.i64(32)
                f.op("i64.shl")
                length = body.pool.take("i64")
                f.set(length)
                f.op("drop")
                f.get(length)
                body.pool.give(("i64",), (length,))
            else:
                _word(body, where, leaf)
            body.run("rec_put")
        for where, leaf in parts:
            if leaf == vt.STR:
                load(body, where, leaf)
                body.run("rec_str")
        f.i32(size)
        body.run("rec_end")


def _leaf_places(place: Place, type: vt.Type) -> list[tuple[Place, vt.Type]]:
    if not isinstance(type, vt.TupleT):
        return [(place, type)]
    return [
        found
        for i, item in enumerate(type.items)
        for found in _leaf_places(member(place, type, i), item)
    ]

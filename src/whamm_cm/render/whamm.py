"""The report text of whamm v1.0, byte for byte but for the ``id`` column, and what would act on a
terminal.

Cells of probes come by type, in the order of their sites; then globals by name; then global maps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from whamm_cm.lang import valtypes as vt
from whamm_cm.render import scripted
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.safe import lines, printable
from whamm_cm.render.table import EFFECT
from whamm_cm.trace.records import Record
from whamm_cm.trace.reports import NOWHERE, Cell, shown_text
from whamm_cm.trace.session import Session
from whamm_cm.trace.types import parse_type

_HEAD = (
    "\n================================= REPORT CSV FLUSH ====================================\n"
    "id, id_type, name, whamm_type, wasm_type, script_id, fname, fid, pc, probe_id, value(s)\n"
)
#: Order of types in a report, and the bytes that a cell of that type takes in whamm's memory.
_SIZES = {
    "u8": 1, "i8": 1, "u16": 2, "i16": 2, "u32": 4, "i32": 4, "f32": 4, "u64": 8, "i64": 8,
    "f64": 8, "bool": 4, "str": 8,
}  # fmt: skip
_RANKS = {name: rank for rank, name in enumerate(_SIZES)}
_TUPLE, _MAP, _REST = len(_RANKS), len(_RANKS) + 1, len(_RANKS) + 2
_HEADER_SIZE = 28


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    """What the script printed, then a report for each instance that has anything to report."""
    session = Session.build(records, options.per_instance)
    for each in session.prints:
        text = lines(each.text)
        yield text if each.raw else text + "\n"
    yield from _reports(session)
    if session.losses and session.cells:
        yield printable(session.losses.sentence(EFFECT)) + "\n"


def _reports(session: Session) -> Iterator[str]:
    instances = sorted({cell.instance for cell in session.cells} - {NOWHERE}) or [NOWHERE]
    several = any(cell.instances > 1 for cell in session.cells)
    for instance in ([NOWHERE] if several else instances) if session.cells else ():
        cells = [
            cell for cell in session.cells if several or (cell.instance or instances[0]) == instance
        ]
        yield _HEAD
        yield from _sites([cell for cell in cells if not scripted.is_global(cell)])
        yield from _globals([cell for cell in cells if scripted.is_global(cell)])


def _sites(cells: Sequence[Cell]) -> Iterator[str]:
    rows: dict[object, int] = {}
    modules: dict[str, int] = {}
    for cell in cells:
        rows.setdefault(cell.row, len(rows))
        modules.setdefault(cell.row.module, len(modules))

    def allocated(cell: Cell) -> tuple[int, int, int, int, int]:
        number = cell.row.probe.partition("_")[0]
        at, probe = cell.place, int(number) if number.isdecimal() else 0
        return modules[cell.row.module], at.fid or 0, at.pc or 0, probe, rows[cell.row]

    placed, address = [], 0
    for cell in sorted(cells, key=allocated):
        kind = parse_type(cell.row.type)
        placed.append((address + 4, cell, kind))
        address += _HEADER_SIZE + _size(kind)
    for number, cell, kind in sorted(placed, key=lambda row: (_rank(row[2]), row[0])):
        at = cell.place
        where = (scripted.function_name(at), at.fid, at.pc, cell.row.probe)
        middle = ["" if part is None else str(part) for part in where]
        yield _line(str(number), "memaddr", cell, kind, middle)


def _globals(cells: Sequence[Cell]) -> Iterator[str]:
    number = 0
    ordered = sorted(cells, key=lambda cell: cell.row.var.encode("utf-8", "replace"))
    typed = [(cell, parse_type(cell.row.type)) for cell in ordered]
    for cell, kind in typed:
        if not isinstance(kind, vt.MapT):
            parts = len(_core_types(kind))
            ids = [str(number + i) for i in range(parts)]
            yield _line(_several(ids), _several(["global_id"] * parts), cell, kind, [""] * 4)
            number += parts
    maps = (row for row in typed if isinstance(row[1], vt.MapT))
    for i, (cell, kind) in enumerate(maps):
        yield _line(str(i), "map_id", cell, kind, [""] * 4)


def _line(number: str, id_type: str, cell: Cell, kind: vt.Type, where: list[str]) -> str:
    types = (cell.row.type.replace(" ", ""), _several(_core_types(kind)))
    parts = (number, id_type, cell.row.var, *types, cell.row.script, *where)
    value = value_text(kind, cell.value) if cell.known else "unknown"
    return printable(", ".join((*parts, ""))) + lines(value) + "\n"


def _several(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({'; '.join(parts)})"


def _rank(t: vt.Type) -> tuple[int, bytes]:
    match t:
        case vt.Prim(name):
            return _RANKS.get(name, _REST), b""
        case vt.TupleT():
            return _TUPLE, str(t).replace(" ", "").encode()
        case vt.MapT():
            return _MAP, str(t).replace(" ", "").encode()
    return _REST, b""


def _size(t: vt.Type) -> int:
    if isinstance(t, vt.TupleT):
        return sum(map(_size, t.items))
    return _SIZES.get(t.name, 4) if isinstance(t, vt.Prim) else 4


def _core_types(t: vt.Type) -> list[str]:
    match t:
        case vt.TupleT(items):
            return [core for item in items for core in _core_types(item)]
        case vt.Prim("str"):
            return ["i32", "i32"]
        case vt.Prim("u64" | "i64"):
            return ["i64"]
        case vt.Prim("f32" | "f64" as name):
            return [name]
    return ["i32"]


def value_text(t: vt.Type, value: Any) -> str:
    """A reported value as whamm prints it."""
    match t:
        case vt.TupleT(items) if isinstance(value, list):
            return f"({'; '.join(map(value_text, items, value))})"
        case vt.MapT(key, inner):
            pairs = [(_signed(key, k), _signed(inner, v)) for k, v in scripted.entries(value)]
            pairs.sort(key=lambda pair: scripted.order(key, pair[0]))
            texts = [f"{_entry_text(key, k)}->{_entry_text(inner, v)}" for k, v in pairs]
            return ";".join(texts) or "empty map"
        case vt.AggT("hist" | "quantize" | "lhist"):
            return value_text(vt.MapT(vt.I64, vt.U64), value)
        case vt.AggT("avg" | "stats"):
            return value_text(vt.TupleT((vt.U64, vt.I64)), value)
        case vt.Prim("f32" | "f64"):
            return float_text(value)
    return shown_text(scripted.text(t, value))


def _entry_text(t: vt.Type, value: Any) -> str:
    if isinstance(t, vt.TupleT):
        return f"({','.join(map(_entry_text, t.items, value))})"
    return value_text(t, value)


def _signed(t: vt.Type, value: Any) -> Any:
    """In maps, u32 are kept and printed as i32."""
    if isinstance(t, vt.TupleT):
        return list(map(_signed, t.items, value))
    if t != vt.U32:
        return value
    return int(value) - (1 << 32) if int(value) >= 1 << 31 else int(value)


def float_text(value: float | str) -> str:
    """As Rust's ``{:+e}``: ``+2e0``, ``-1.1e0``, ``+inf``, ``NaN``."""
    if isinstance(value, str):
        return {"nan": "NaN", "inf": "+inf"}.get(value, value)
    sign, digits, exponent = Decimal(repr(float(value))).normalize().as_tuple()
    assert isinstance(exponent, int), "neither infinite nor NaN"
    text = "".join(map(str, digits))
    point = f".{text[1:]}" if len(text) > 1 else ""
    scale = exponent + len(text) - 1 if value else 0
    return f"{'-' if sign else '+'}{text[0]}{point}e{scale}"

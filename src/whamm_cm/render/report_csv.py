"""Reported variables as CSV (RFC 4180): a row per cell, or per entry of a map.

A key is the key as text; in a map inside a map it is the keys on the way, as a JSON array.  Text
that a spreadsheet would take for a formula has an apostrophe before it.  ``function`` is for
people, ``symbol`` as the core module has it, which may be mangled.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from whamm_cm.lang import valtypes as vt
from whamm_cm.render import scripted
from whamm_cm.render.jsonl import compact
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.safe import csv_cell
from whamm_cm.trace.records import Record
from whamm_cm.trace.reports import Cell
from whamm_cm.trace.session import Session
from whamm_cm.trace.types import MEANS, parse_type

COLUMNS = (
    *("script", "variable", "type", "probe", "module", "instance", "instances", "fid"),
    *("function", "symbol", "pc", "source", "key", "value"),
)


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    yield _row(COLUMNS)
    for cell in Session.build(records, options.per_instance).cells:
        row, at = cell.row, cell.place
        head = (
            *(row.script, row.var, row.type, row.probe, row.module),
            *(cell.instance or "", cell.instances),
            *("" if at.fid is None else at.fid, scripted.readable_name(at)),
            "" if at.fid is None else at.fname,
            *("" if at.pc is None else at.pc, scripted.source(cell, options)),
        )
        for keys, value in _values(cell) if cell.known else [((), "unknown")]:
            key = "" if not keys else keys[0] if len(keys) == 1 else compact(list(keys))
            yield _row((*head, key, value))


def _row(values: Iterable[Any]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(map(csv_cell, values))
    return out.getvalue()


def _values(cell: Cell) -> Iterator[tuple[tuple[str, ...], str]]:
    yield from _flat(parse_type(cell.row.type), cell.value, ())


def _flat(t: vt.Type, value: Any, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """(keys on the way, text) of everything in a value."""
    if isinstance(t, vt.AggT) and t.name in MEANS and isinstance(value, list):
        yield (*keys, "count"), str(value[0])
        yield (*keys, "sum"), str(value[1])
    elif scripted.is_map(t):
        key, inner = (t.key, t.value) if isinstance(t, vt.MapT) else (vt.I64, vt.U64)
        pairs = sorted(scripted.entries(value), key=lambda pair: scripted.order(key, pair[0]))
        for name, each in pairs:
            yield from _flat(inner, each, (*keys, scripted.text(key, name)))
    else:
        yield keys, "" if value is None else scripted.text(t, value)

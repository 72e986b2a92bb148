"""Reported variables and printed text as one JSON document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from whamm_cm.render import scripted
from whamm_cm.render.jsonl import compact
from whamm_cm.render.options import RenderOptions
from whamm_cm.trace.reader import Record
from whamm_cm.trace.reports import Cell
from whamm_cm.trace.session import Session


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    """``{"v":1, "cells":[…], "prints":[…], "dropped":n}``, an element a line."""
    session = Session.build(records)
    yield '{"v":1,"cells":['
    yield from _elements(compact(_cell(cell, options)) for cell in session.cells)
    yield '],"prints":['
    yield from _elements(
        compact({"instance": each.instance, "text": each.text, "raw": each.raw})
        for each in session.prints
    )
    yield f'],"dropped":{sum(session.dropped.values())}}}\n'


def _elements(texts: Iterable[str]) -> Iterator[str]:
    separator = "\n"
    for text in texts:
        yield separator + text
        separator = ",\n"


def _cell(cell: Cell, options: RenderOptions) -> Record:
    """Keys as in records; what a cell does not have is left out."""
    row, at = cell.row, cell.place
    parts = {
        "script": row.script, "var": row.var, "probe": row.probe, "module": row.module,
        "fid": at.fid, "fname": at.fname, "pc": at.pc, "source": scripted.source(cell, options),
    }  # fmt: skip
    known = {key: value for key, value in parts.items() if value not in ("", None)}
    return {**known, "instance": cell.instance, "type": row.type, "value": cell.value}

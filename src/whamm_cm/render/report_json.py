"""Reported variables and printed text as one JSON document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from whamm_cm.render import scripted
from whamm_cm.render.jsonl import compact
from whamm_cm.render.options import RenderOptions
from whamm_cm.trace.records import Record
from whamm_cm.trace.reports import Cell
from whamm_cm.trace.session import Session


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    """``{"v":2, "cells":[…], "prints":[…], "lost":n}``, an element a line; ``lost`` is a number or
    "unknown", ``why`` a list of words as in records."""
    session = Session.build(records, options.per_instance)
    yield '{"v":2,"cells":['
    yield from _elements(compact(_cell(cell, options)) for cell in session.cells)
    yield '],"prints":['
    yield from _elements(
        compact({"instance": each.instance, "text": each.text, "raw": each.raw})
        for each in session.prints
    )
    losses = session.losses
    yield f'],"lost":{compact(losses.number)},"why":{compact(list(losses.whys))}}}\n'


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
    whose = {"instances": cell.instances} if cell.instances > 1 else {"instance": cell.instance}
    value = {"value": cell.value} if cell.known else {"value": None, "unknown": True}
    return {**known, **whose, "type": row.type, **value}

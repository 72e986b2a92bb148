"""Where the cell of a variable is, as records say it."""

from __future__ import annotations

from typing import Any, TypeAlias

from whamm_cm.agent.layout import NONE
from whamm_cm.agent.variables import Variable

Record: TypeAlias = dict[str, Any]


def place(variable: Variable, cell: int) -> Record:
    """The keys that say where a cell is, none for a script global."""
    cells, found = variable.cells, Record()
    if cells is None:
        return found
    if cells.fids[cell] != NONE:
        found["fid"] = cells.fids[cell]
    if name := cells.fname(cell):
        found["fname"] = name
    if cells.pcs[cell] != NONE:
        found["pc"] = cells.pcs[cell]
    return found


def placed(record: Record, where: Record) -> Record:
    """The record of a cell; where it is stands before ``type``."""
    keys = list(record)
    at = keys.index("type")
    before = {key: record[key] for key in keys[:at]}
    return {**before, **where, **{key: record[key] for key in keys[at:]}}

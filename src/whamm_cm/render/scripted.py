"""Values of script variables as text, by their types."""

from __future__ import annotations

from typing import Any

from whamm_cm.demangle.name import demangle
from whamm_cm.lang import valtypes as vt
from whamm_cm.render.options import RenderOptions
from whamm_cm.trace.merge import pairs
from whamm_cm.trace.reports import Cell, Place, shown_text
from whamm_cm.trace.types import FLOATS, INTS


def text(t: vt.Type, value: Any) -> str:
    """A value that fits one line: not a map, not a histogram."""
    match t:
        case vt.TupleT(items) if isinstance(value, list):
            return f"({', '.join(map(text, items, value))})"
        case vt.AggT("avg") if isinstance(value, list):
            count, total = map(int, value)
            return f"{total / count:g} (count {count}, sum {total})" if count else "-"
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return shown_text(value)


def order(t: vt.Type, value: Any) -> Any:
    """What values of one type sort by: numbers by size, strings by their bytes, maps not at all."""
    match t:
        case vt.TupleT(items) if isinstance(value, list):
            return tuple(map(order, items, value))
        case vt.Prim("str"):
            return shown_text(value).encode("utf-8", "surrogatepass")
        case vt.Prim(name) if name in INTS:
            return int(value)
        case vt.Prim(name) if name in FLOATS:
            return float(value)
        case vt.AggT("min" | "max"):
            return (0, 0) if value is None else (1, int(value))
        case vt.AggT("avg") if isinstance(value, list):
            count, total = map(int, value)
            return total / count if count else 0.0
        case vt.MapT() | vt.AggT():
            return len(value) if isinstance(value, list) else 0
    return value is True


def is_map(t: vt.Type) -> bool:
    """Several lines of keys and values: a map or a histogram."""
    return isinstance(t, vt.MapT) or t == vt.AggT("hist")


def entries(value: Any) -> list[Any]:
    """The [key, value] pairs of a map, also of one inside a map that was cut."""
    return pairs(value)


def function_name(at: Place) -> str:
    """A cell's function for programs: as the module has it; "" for none."""
    return at.fname or ("" if at.fid is None else f"#{at.fid}")


def readable_name(at: Place) -> str:
    """A cell's function for people; "" for none.  The one place to make names readable."""
    return demangle(function_name(at))


def is_global(cell: Cell) -> bool:
    return not cell.row.probe and cell.place == Place()


def source(cell: Cell, options: RenderOptions) -> str:
    """``file:line`` of a cell, empty where it is unknown or nobody asked."""
    at = cell.place
    if options.lines is None or at.fid is None or at.pc is None:
        return ""
    return options.lines(cell.row.module, at.fid, at.pc)

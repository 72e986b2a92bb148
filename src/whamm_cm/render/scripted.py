"""Values of script variables as text, by their types."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
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
            return f"{mean(total, count)} (count {count}, sum {total})" if count else "-"
        case vt.AggT("stats") if isinstance(value, list):
            count, total = map(int, value)
            average = mean(total, count) if count else "-"
            return f"count {count}, average {average}, total {total}"
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
            return Fraction(total, count) if count else Fraction(0)
        case vt.AggT("stats") if isinstance(value, list):
            return int(value[1])
        case vt.MapT() | vt.AggT():
            return len(value) if isinstance(value, list) else 0
    return value is True


def is_map(t: vt.Type) -> bool:
    """Several lines of keys and values: a map or a histogram."""
    return isinstance(t, vt.MapT) or vt.is_histogram(t)


def mean(total: int, count: int) -> str:
    """Six digits at most, as %g shows them, of the exact quotient."""
    sign, total = "-" if total < 0 else "", abs(total)
    exponent = 0
    while total >= count * 10 ** (exponent + 1):
        exponent += 1
    while total and total * 10**-exponent < count:
        exponent -= 1
    scale = 5 - exponent
    over, under = total * 10 ** max(scale, 0), count * 10 ** max(-scale, 0)
    digits, rest = divmod(over, under)
    digits += 2 * rest >= under
    if digits == 10**6:
        digits, exponent = 10**5, exponent + 1
    text = str(digits).rstrip("0") or "0"
    if not -4 <= exponent < 6:
        point = f".{text[1:]}" if len(text) > 1 else ""
        return f"{sign}{text[0]}{point}e{'-' if exponent < 0 else '+'}{abs(exponent):02}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{text}"
    whole, part = text[: exponent + 1].ljust(exponent + 1, "0"), text[exponent + 1 :]
    return f"{sign}{whole}.{part}" if part else f"{sign}{whole}"


def buckets(t: vt.Type, counts: Mapping[int, int]) -> list[tuple[int, str, int]]:
    """The buckets of a histogram from the least sample to the greatest: what it counts from, its
    name, its count."""
    lows: list[int] = [0, *(1 << i for i in range(64))]
    names: dict[int, str] = {}
    assert isinstance(t, vt.AggT)
    if t.name == "quantize":
        lows = [*(-(1 << i) for i in range(63, -1, -1)), *lows]
    elif t.bounds:
        low, high, step = t.bounds
        inside = range(low, high, step)
        names = {each: f"[{each}, {min(each + step, high)})" for each in inside}
        names |= {-(1 << 63): f"(..., {low})", high: f"[{high}, ...)"}
        lows = [-(1 << 63), *inside, high]
    found = [low for low in lows if min(counts) <= low <= max(counts)]
    return [(low, names.get(low, str(low)), counts.get(low, 0)) for low in found]


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

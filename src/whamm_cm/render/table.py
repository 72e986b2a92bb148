"""Reported variables for people: one table a variable, maps by their values, histograms as bars."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Set
from fractions import Fraction
from typing import Any

from whamm_cm.lang import valtypes as vt
from whamm_cm.render import scripted
from whamm_cm.render.calltree import is_tree, reported_trees
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.safe import printable
from whamm_cm.render.words import counted
from whamm_cm.trace.merge import adds_up
from whamm_cm.trace.records import Record
from whamm_cm.trace.reports import Cell, Row
from whamm_cm.trace.session import Session
from whamm_cm.trace.types import initial, parse_type

_BAR = 40
#: In the place of a value that nobody counted.
UNKNOWN = "unknown"
EFFECT = "values may be missing or too low"


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    """Script globals of one value each, then every other variable under its name."""
    session = Session.build(records, options.per_instance)
    if not session.cells:
        yield _nothing(session)
    several = len({cell.row.script for cell in session.cells}) > 1
    groups: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in session.cells:
        groups.setdefault((cell.row.script, cell.row.var, cell.row.type), []).append(cell)
    parts = [_scalars([g for g in groups.values() if is_scalar(g)], several)]
    parts += [
        _group(group, several, options)
        for group in groups.values()
        if not (is_scalar(group) or _is_flame(group))
    ]
    drawn = [cell for group in groups.values() if _is_flame(group) for cell in group]
    if drawn:
        parts.append(_flames({cell.row for cell in drawn}, session, options))
    yield "\n".join("".join(line.rstrip() + "\n" for line in part) for part in parts if part)
    if session.losses and session.cells:
        yield f"\n{printable(session.losses.sentence(EFFECT))}\n"


def _nothing(session: Session) -> str:
    """Nobody reported anything: what may be said of it.  Printed text needs no such remark."""
    if session.losses:
        return f"nothing is known of what was reported; {printable(session.losses.sentence())}\n"
    return "" if session.prints else "nothing was reported\n"


def is_scalar(group: list[Cell]) -> bool:
    """Whether all a variable has is one value that fits a line."""
    kind = parse_type(group[0].row.type)
    return len(group) == 1 and scripted.is_global(group[0]) and not scripted.is_map(kind)


def _is_flame(group: list[Cell]) -> bool:
    return is_tree(group[0]) and all(cell.known for cell in group)


def _flames(rows: Set[Row], session: Session, options: RenderOptions) -> list[str]:
    """Call trees are looked at as such; those of several instances cannot be merged as maps are."""
    from whamm_cm.render.flame import several

    parts = [cell for cell in session.parts if cell.row in rows]
    return list(several(reported_trees(parts, options.per_instance), options))


def _title(cell: Cell, several: bool) -> str:
    name = f"{cell.row.script}:{cell.row.var}" if several else cell.row.var
    return printable(name)


def _scalars(groups: list[list[Cell]], several: bool) -> list[str]:
    rows = [(_title(cell, several), _text(cell) + merged_of(cell)) for (cell,) in groups]
    width = max((len(name) for name, _ in rows), default=0)
    return [f"{name:{width}}  {text}" for name, text in rows]


def _text(cell: Cell) -> str:
    if not cell.known:
        return UNKNOWN
    return printable(scripted.text(parse_type(cell.row.type), cell.value))


def merged_of(cell: Cell) -> str:
    """From how many instances a value is, where it is from several."""
    if cell.instances < 2:
        return ""
    of = "" if adds_up(parse_type(cell.row.type)) else "the last of "
    return f"  ({of}{counted(cell.instances, 'instance')})"


#: Columns beside the value, those to the right; shown where cells differ in them or always.
_PLACES: dict[str, Callable[[Cell], str]] = {
    "fid": lambda cell: "" if cell.place.fid is None else str(cell.place.fid),
    "pc": lambda cell: "" if cell.place.pc is None else str(cell.place.pc),
    "function": lambda cell: printable(scripted.readable_name(cell.place)),
}
_ORIGINS: dict[str, Callable[[Cell], str]] = {
    "probe": lambda cell: printable(cell.row.probe),
    "module": lambda cell: printable(cell.row.module),
    "instance": lambda cell: str(cell.instance) if cell.instance else "",
}


def _group(group: list[Cell], several: bool, options: RenderOptions) -> list[str]:
    """All cells of a variable: a title that says what they have in common, then a line each."""
    kind = parse_type(group[0].row.type)
    title = f"{_title(group[0], several)}: {printable(group[0].row.type)}"
    if options.by == "line" and options.lines is not None:
        from whamm_cm.render import by_line

        if by_line.adds_up(group[0]):
            return [title, *by_line.annotated(group, options.lines)]
        group = by_line.joined(group, options.lines)
    each = {(id(cell.row), cell.instance): cell for cell in group}.values()
    differ = [name for name, of in _ORIGINS.items() if len({of(cell) for cell in each}) > 1]
    common = [
        f"{name} {_ORIGINS[name](group[0])}"
        for name in ("probe", "module")
        if name not in differ and _ORIGINS[name](group[0])
    ]
    of = merged_of(max(group, key=lambda cell: cell.instances)).strip()
    head = "  ".join(filter(None, [title, *common, of]))
    columns = {name: of for name, of in _PLACES.items() if any(of(cell) for cell in group)}
    if options.by == "line":
        columns = {"line": _PLACES["function"]}
    elif options.lines is not None:
        columns["source"] = lambda cell: printable(scripted.source(cell, options))
    columns |= {name: _ORIGINS[name] for name in differ}
    shown, rest = worth_showing(kind, group)
    if scripted.is_map(kind):
        lines = [head]
        for cell in shown:
            label = "  ".join(f"{name} {of(cell)}" for name, of in columns.items() if of(cell))
            lines += [f"  {label}"] if label else []
            lead = "    " if label else "  "
            lines += _entries(kind, cell.value, lead) if cell.known else [lead + UNKNOWN]
        return lines + rest
    ordered = sorted(shown, key=lambda cell: _place_key(cell))
    ordered.sort(key=lambda cell: scripted.order(kind, cell.value), reverse=True)
    rows = [[_text(cell), *(of(cell) for of in columns.values())] for cell in ordered]
    if not rows:
        return [head, *rest]
    grid = _grid([["value", *columns], *rows], right=("value", "fid", "pc", "instance"))
    return [head, *grid, *rest]


#: So many cells that nothing happened to are shown; more hide what did.
_UNTOUCHED = 10


def worth_showing(kind: vt.Type, group: list[Cell]) -> tuple[list[Cell], list[str]]:
    """The cells to show, and a line about those left out."""
    if scripted.is_map(kind):
        touched, value = [cell for cell in group if scripted.entries(cell.value)], "empty"
    else:
        first = initial(kind)
        value = scripted.text(kind, first)
        touched = [
            cell
            for cell in group
            if cell.value is not first and scripted.text(kind, cell.value) != value
        ]
    if not all(cell.known for cell in group):
        value = UNKNOWN
    left = len(group) - len(touched)
    if left <= _UNTOUCHED:
        return group, []
    what = "others" if touched else "places"
    nothing = value or '""'
    return touched, [f"  ({left} {what}: {nothing})"]


def _place_key(cell: Cell) -> tuple[str, int, int]:
    return cell.row.module, cell.place.fid or 0, cell.place.pc or 0


#: Columns are not padded beyond: names of generic functions have a thousand characters.
_WIDEST = 100


def _grid(rows: list[list[str]], right: Iterable[str]) -> list[str]:
    widths = [min(max(map(len, column)), _WIDEST) for column in zip(*rows, strict=True)]
    to_right = [name in right for name in rows[0]]
    return [
        "  "
        + "  ".join(
            f"{text:>{width}}" if aligned else f"{text:{width}}"
            for text, width, aligned in zip(row, widths, to_right, strict=True)
        )
        for row in rows
    ]


def _entries(t: vt.Type, value: Any, lead: str) -> list[str]:
    """A map with the largest values first, or the bars of a histogram."""
    pairs = scripted.entries(value)
    if not pairs:
        return [f"{lead}(empty)"]
    if not isinstance(t, vt.MapT):
        return [lead + line for line in _bars(t, {int(low): int(n) for low, n in pairs})]
    key, inner = t.key, t.value
    pairs = sorted(pairs, key=lambda pair: scripted.order(key, pair[0]))
    names = [printable(scripted.text(key, pair[0])) for pair in pairs]
    if scripted.is_map(inner):
        lines = []
        for name, (_, each) in zip(names, pairs, strict=True):
            lines += [f"{lead}{name}", *_entries(inner, each, lead + "  ")]
        return lines
    shown = list(zip(names, pairs, strict=True))
    shown.sort(key=lambda row: scripted.order(inner, row[1][1]), reverse=True)
    width = max(map(len, names))
    return [
        f"{lead}{name:{width}}  {printable(scripted.text(inner, pair[1]))}" for name, pair in shown
    ]


def _bars(t: vt.Type, counts: dict[int, int]) -> list[str]:
    """A line for each bucket between the least and the greatest sample."""
    buckets = scripted.buckets(t, counts)
    most = max(counts.values())
    width = max(len(name) for _, name, _ in buckets)
    lines = []
    for _, name, count in buckets:
        bar = "#" * max(round(Fraction(_BAR * count, most)), int(count > 0))
        lines.append(f"{name:>{width}} |{bar:{_BAR}}| {count}")
    return lines

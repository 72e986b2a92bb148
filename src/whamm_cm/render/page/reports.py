"""What scripts reported, as rows and columns that a page sorts, filters and draws."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from typing import Any, TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.lang import valtypes as vt
from whamm_cm.render import calltree, scripted
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.table import EFFECT, is_scalar, merged_of, worth_showing
from whamm_cm.trace.reports import Cell, shown_text
from whamm_cm.trace.session import Session
from whamm_cm.trace.types import FLOATS, INTS, parse_type

#: Rows of one variable, those with the greatest values; a page with more is slow to open.
MOST_ROWS = 20_000
#: Numbers beyond are text: JavaScript has no greater integers.
_EXACT = 1 << 53

Json: TypeAlias = dict[str, Any]


def reports(session: Session, options: RenderOptions) -> Json | None:
    """``{"values": […], "variables": […], "losses": sentence}``; None where scripts reported
    nothing.

    ``values`` are script globals of one value each: ``{"name", "type", "text", "note"}``.  The
    others are :func:`_variable`.
    """
    if not session.cells:
        return None
    several = len({cell.row.script for cell in session.cells}) > 1
    groups: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in session.cells:
        groups.setdefault((cell.row.script, cell.row.var, cell.row.type), []).append(cell)
    losses = session.losses.sentence(EFFECT) if session.losses else ""
    return {
        "values": [_value(g[0], several) for g in groups.values() if is_scalar(g)],
        "variables": [_variable(g, several, options) for g in groups.values() if not is_scalar(g)],
        "losses": losses,
    }


def _title(cell: Cell, several: bool) -> str:
    return f"{cell.row.script}:{cell.row.var}" if several else cell.row.var


def _value(cell: Cell, several: bool) -> Json:
    text = scripted.text(parse_type(cell.row.type), cell.value) if cell.known else None
    note = merged_of(cell).strip()
    return {"name": _title(cell, several), "type": cell.row.type, "text": text, "note": note}


@dataclass(slots=True)
class _Column:
    """``role``: ``place``, ``key`` or ``value``; ``type``: ``int``, ``float``, ``bool`` or ``str``.

    Strings are numbers of ``known`` ones: most stand in many rows.
    """

    name: str
    role: str
    type: str
    cells: list[Any] = field(default_factory=list)
    known: dict[str, int] = field(default_factory=dict)

    def add(self, value: Any) -> None:
        """None: there is no value."""
        if self.type == "str" and value is not None:
            value = self.known.setdefault(value, len(self.known))
        self.cells.append(value)

    def json(self) -> Json:
        """``{"name", "role", "type", "cells", "texts" (of strings)}``."""
        texts = {"texts": list(self.known)} if self.type == "str" else {}
        return {
            "name": self.name, "role": self.role, "type": self.type, "cells": self.cells, **texts
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Leaf:
    """What of a type is in one column: its name, its type and what it is of a value."""

    name: str
    type: str
    of: Callable[[Any], Any]


def _variable(group: list[Cell], several: bool, options: RenderOptions) -> Json:
    """``{"name", "type", "kind", "common", "note", "rest"}`` and what its kind has.

    ``common``: what all cells share, as (what, text); ``rest``: what is not shown, in words.
    ``kind`` ``tree``: a call tree, which the flame graph shows.  ``table``: ``columns``, and in
    ``unknown`` the rows whose values nobody knows.  ``hist``: columns of places and keys,
    ``counts`` of each row as (number of a bucket, samples), ``buckets`` as (least, name).
    """
    first, kind = group[0], parse_type(group[0].row.type)
    found: Json = {"name": _title(first, several), "type": first.row.type, "rest": []}
    widest = max(group, key=lambda cell: cell.instances)
    found["note"] = merged_of(widest).strip()
    if kind in (parse_type(calltree.SHAPE), parse_type(calltree.SEVERAL)):
        nodes = sum(len(scripted.entries(cell.value)) for cell in group)
        return {**found, "kind": "tree", "nodes": nodes, "common": []}
    shown, rest = worth_showing(kind, group)
    found["rest"] += [line.strip() for line in rest]
    places, found["common"] = _places(group, options)
    keys, leaf = _split(kind)
    rows = _Rows(places, _keys(keys), leaf)
    rows.fill(shown, kind, found["rest"])
    return {**found, **rows.json()}


_Place: TypeAlias = tuple[str, str, Callable[[Cell], Any]]


def _places(group: Sequence[Cell], options: RenderOptions) -> tuple[list[_Place], list[list[str]]]:
    """Columns of where a cell is, as far as cells differ in it, and what they share."""
    origins: dict[str, Callable[[Cell], str]] = {
        "probe": lambda cell: cell.row.probe,
        "module": lambda cell: cell.row.module,
    }
    columns: list[_Place] = []
    if any(scripted.function_name(cell.place) for cell in group):
        columns.append(("function", "str", lambda cell: scripted.readable_name(cell.place)))
    if options.lines is not None and any(cell.place.pc is not None for cell in group):
        columns.append(("source", "str", lambda cell: scripted.source(cell, options)))
    if any(cell.place.pc is not None for cell in group):
        columns += [
            ("fid", "int", lambda cell: cell.place.fid),
            ("pc", "int", lambda cell: cell.place.pc),
        ]
    common = []
    for name, of in origins.items():
        texts = {of(cell) for cell in group}
        if len(texts) > 1:
            columns.append((name, "str", of))
        elif any(texts):
            common.append([name, *texts])
    if len({cell.instance for cell in group}) > 1:
        columns.append(("instance", "int", lambda cell: cell.instance))
    return columns, common


def _split(kind: vt.Type) -> tuple[list[vt.Type], vt.Type]:
    """The types of keys of maps in each other, and what the innermost has."""
    keys = []
    while isinstance(kind, vt.MapT):
        keys.append(kind.key)
        kind = kind.value
    return keys, kind


def _keys(types: Sequence[vt.Type]) -> list[_Leaf]:
    """A column for each part of each key; its value is taken from the list of the keys."""
    found = []
    for level, type_ in enumerate(types):
        for leaf in _leaves(type_):
            found.append(_Leaf(leaf.name, leaf.type, _nth(level, leaf.of)))
    if len(found) == 1:
        return [_Leaf("key", found[0].type, found[0].of)]
    return [_Leaf(f"key {at}", one.type, one.of) for at, one in enumerate(found, 1)]


def _leaves(kind: vt.Type) -> list[_Leaf]:
    match kind:
        case vt.TupleT(items) if items:
            return [
                _Leaf(f"value {at + 1}", _type(item), _nth(at, _plain(item)))
                for at, item in enumerate(items)
            ]
        case vt.AggT("avg" | "stats"):
            return [
                _Leaf("average", "float", _average),
                _Leaf("count", "int", _nth(0, exact)),
                _Leaf("sum" if kind.name == "avg" else "total", "int", _nth(1, exact)),
            ]
    return [_Leaf("value", _type(kind), _plain(kind))]


def _nth(at: int, of: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: of(value[at])


def _type(kind: vt.Type) -> str:
    match kind:
        case vt.Prim("bool"):
            return "bool"
        case vt.Prim(name) if name in FLOATS:
            return "float"
        case vt.Prim(name) if name in INTS:
            return "int"
        case vt.AggT("min" | "max"):
            return "int"
    return "str"


def _plain(kind: vt.Type) -> Callable[[Any], Any]:
    match _type(kind):
        case "int":
            return exact
        case "bool" | "float":
            return lambda value: value
    if isinstance(kind, vt.Prim):
        return shown_text
    return lambda value: scripted.text(kind, value)


def exact(value: Any) -> int | str | None:
    """An integer of JavaScript or, beyond, its digits; None stays."""
    if value is None:
        return None
    number = int(value)
    return number if -_EXACT < number < _EXACT else str(number)


def _average(value: Any) -> float | None:
    count, total = map(int, value)
    return total / count if count else None


def _flat(
    kind: vt.Type, value: Any, keys: tuple[Any, ...] = ()
) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """(the keys on the way, what is there) for everything in maps in each other."""
    if not isinstance(kind, vt.MapT):
        yield keys, value
        return
    for key, inner in scripted.entries(value):
        yield from _flat(kind.value, inner, (*keys, key))


class _Rows:
    """The rows of a variable: one for each cell, or for each entry of maps in it."""

    def __init__(self, places: list[_Place], keys: list[_Leaf], leaf: vt.Type) -> None:
        self._places, self._keys, self._leaf = places, keys, leaf
        self._hist = vt.is_histogram(leaf)
        self._columns = [_Column(name, "place", type_) for name, type_, _ in places]
        self._columns += [_Column(one.name, "key", one.type) for one in keys]
        self._values = [] if self._hist else _leaves(leaf)
        self._columns += [_Column(one.name, "value", one.type) for one in self._values]
        self._unknown: list[int] = []
        self._counts: list[dict[int, int]] = []

    def fill(self, cells: Sequence[Cell], kind: vt.Type, rest: list[str]) -> None:
        """Those with the greatest values first; says in ``rest`` what is left out."""
        found = [
            (cell, keys, value)
            for cell in cells
            for keys, value in (_flat(kind, cell.value) if cell.known else [((), None)])
            if cell.known or not self._keys
        ]
        hidden = sum(not cell.known for cell in cells) if self._keys else 0
        if hidden:
            rest.append(f"({hidden} maps: unknown)")
        best = heapq.nlargest(MOST_ROWS, found, key=lambda row: self._order(row[0], row[2]))
        if len(found) > MOST_ROWS:
            more = len(found) - MOST_ROWS
            rest.append(f"({more} more rows with smaller values; -f csv has them all)")
        for row in best:
            self._add(*row)

    def _order(self, cell: Cell, value: Any) -> tuple[bool, Any]:
        if not cell.known:
            return (False, 0)
        if self._hist:
            return (True, sum(int(count) for _, count in scripted.entries(value)))
        return (True, scripted.order(self._leaf, value))

    def _add(self, cell: Cell, keys: tuple[Any, ...], value: Any) -> None:
        texts = [of(cell) for _, _, of in self._places] + [one.of(keys) for one in self._keys]
        if not cell.known:
            self._unknown.append(len(self._counts))
            texts += [None for _ in self._values]
        else:
            texts += [one.of(value) for one in self._values]
        for column, text in zip(self._columns, texts, strict=True):
            column.add(text)
        pairs = scripted.entries(value) if self._hist and cell.known else ()
        self._counts.append({int(low): int(count) for low, count in pairs})

    def json(self) -> Json:
        columns = [column.json() for column in self._columns]
        found: Json = {"columns": columns, "rows": len(self._counts), "unknown": self._unknown}
        if not self._hist:
            return {"kind": "table", **found}
        sums: dict[int, int] = {}
        for counts in self._counts:
            for low, count in counts.items():
                sums[low] = sums.get(low, 0) + count
        named = scripted.buckets(self._leaf, sums) if sums else []
        numbers = {low: at for at, (low, _, _) in enumerate(named)}
        rows = [
            [[numbers[low], count] for low, count in sorted(counts.items()) if low in numbers]
            for counts in self._counts
        ]
        buckets = [[exact(low), name] for low, name, _ in named]
        return {"kind": "hist", **found, "buckets": buckets, "counts": rows}

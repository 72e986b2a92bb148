"""What a script's variables were last reported to be, and what it printed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from whamm_cm.agent.counted import CountedCells
from whamm_cm.agent.layout import SiteKind
from whamm_cm.agent.table import Site, SiteTable
from whamm_cm.dataclass import dataclass
from whamm_cm.trace.cells import place
from whamm_cm.trace.merge import merged, pairs
from whamm_cm.trace.records import Record
from whamm_cm.trace.types import initial as initial
from whamm_cm.trace.types import parse_type as parse_type

#: Index and name of a function, pc: as of ``Place``.
_At: TypeAlias = tuple[int | None, str, int | None]
_Places: TypeAlias = Mapping[_At, Mapping[int, Any] | None]
#: The instance of records that only say that a cell exists.
NOWHERE = 0


@dataclass(frozen=True, slots=True)
class Row:
    """A variable at the sites of one probe in one core module; ``probe`` and ``module`` are empty
    for a script global.  ``type`` is the script's word for it."""

    script: str
    var: str
    type: str
    probe: str = ""
    module: str = ""


class Place(NamedTuple):
    """A function and the place in it, as far as a cell has one."""

    fid: int | None = None
    fname: str = ""
    pc: int | None = None


class Cell(NamedTuple):  # of which there may be a million, as of places
    """The value of one cell; a map is a list of [key, value].

    ``instances`` is how many component instances it is merged from, ``instance`` the number of the
    only one, or 0.  Not ``known``: it is only the initial value, and what was lost may have changed
    it.
    """

    row: Row
    place: Place
    instance: int
    value: Any
    instances: int = 1
    known: bool = True


@dataclass(frozen=True, slots=True)
class Declared:
    """That all these cells exist, whether anybody reports them or not."""

    table: SiteTable
    counted: CountedCells


@dataclass(frozen=True, slots=True)
class Print:
    """``raw``: without an end of line of its own."""

    instance: int
    text: str
    raw: bool


class Reports:
    """Feed it records in order."""

    def __init__(self) -> None:
        self.prints: list[Print] = []
        #: Rows in the order they were first heard of, their places likewise, values by instance,
        #: the one that was reported last at the end; None for those of a place not heard of.
        self._rows: dict[Row, dict[_At, dict[int, Any] | None]] = {}
        self._instances: set[int] = set()
        self._known: dict[tuple[str, str, str, str, str], Row] = {}

    def feed(self, record: Record) -> None:
        """Takes what a script reported or printed; records of other kinds are let pass."""
        if record["phase"] == "print":
            text = shown_text(record.get("text", ""))
            self.prints.append(Print(record["instance"], text, bool(record.get("raw"))))
        if record["phase"] == "declared":
            self._declare(record["cells"])
        if record["phase"] != "report" or "var" not in record:
            return
        row = self._row(record)
        at = (record.get("fid"), record.get("fname", ""), record.get("pc"))
        places = self._rows.setdefault(row, {})
        values = places.get(at)
        if values is None:
            values = places[at] = {}
        instance = record["instance"]
        if record.get("anew"):  # a map that has lost entries
            values.pop(instance, None)
        elif "value" not in record:  # it was too long for a line
            return
        self._instances.add(instance)
        known = values.pop(instance, None)
        value = record.get("value", [])
        if row.type.startswith("map<"):
            value = _updated(known or {}, value)
        values[instance] = value

    def _row(self, record: Record) -> Row:
        said = (
            record.get("script", ""), record["var"], record.get("type", ""),
            record.get("probe", ""), record.get("module", ""),
        )  # fmt: skip
        row = self._known.get(said)
        if row is None:
            row = self._known[said] = Row(*said)
        return row

    def _declare(self, cells: Declared) -> None:
        for site in cells.table.sites:
            if site.kind is SiteKind.VARIABLE and site.variable is not None:
                head, tail = _said_of(site)
                self._rows.setdefault(self._row({**head, **tail}), {})
        counted, known = cells.counted, dict[int, dict[_At, dict[int, Any] | None]]()
        for fid, fname, numbers in counted.functions():
            here = slice(numbers.start, numbers.stop)
            for number, pc in zip(counted.rows[here], counted.pcs[here], strict=True):
                places = known.get(number)
                if places is None:
                    head, tail = _said_of(cells.table.sites[number])
                    row = self._row({**head, **tail})
                    places = known[number] = self._rows.setdefault(row, {})
                places.setdefault((fid, fname, pc), None)

    @property
    def alone(self) -> bool:
        """Whether one instance at most has reported anything: then what is merged is its own."""
        return len(self._instances - {NOWHERE}) < 2

    def cells(self, lost: bool = False, per_instance: bool = False) -> Iterator[Cell]:
        """Every cell, merged over the instances that reported anything of its row; one that was
        never reported has its initial value.

        ``lost``: records are missing; ``per_instance``: every cell once per instance.
        """
        only = self._instances - {NOWHERE}
        nowhere = sorted(only) if len(only) == 1 else [NOWHERE]
        for row, places in self._rows.items():
            seen = {instance for values in places.values() if values for instance in values}
            instances = sorted(seen - {NOWHERE}) or nowhere
            if per_instance or len(instances) == 1:
                yield from _apart(row, places, instances, lost)
            else:
                yield from _merged(row, places, instances, lost)


def _apart(row: Row, places: _Places, instances: Sequence[int], lost: bool) -> Iterator[Cell]:
    kind = parse_type(row.type)
    first = initial(kind)
    for at, values in places.items():
        place = Place(*at)
        for instance in instances:
            if values is None:
                value = initial(kind) if isinstance(first, list) else first
                yield Cell(row, place, instance, value, 1, not lost)
                continue
            known = not lost or (instance != NOWHERE and instance in values)
            yield Cell(row, place, instance, _value(row, values, instance), 1, known)


def _merged(row: Row, places: _Places, instances: Sequence[int], lost: bool) -> Iterator[Cell]:
    kind = parse_type(row.type)
    for at, values in places.items():
        values = values or {}
        recent = [i for i in values if i != NOWHERE]
        unheard = [i for i in instances if i not in values]
        whole = merged(kind, [_value(row, values, i) for i in (*unheard, *recent)])
        yield Cell(row, Place(*at), NOWHERE, whole, len(instances), not lost or bool(recent))


def _value(row: Row, values: Mapping[int, Any], instance: int) -> Any:
    if instance not in values:
        return initial(parse_type(row.type))
    value = values[instance]
    if isinstance(value, dict) and row.type.startswith("map<"):
        return list(value.values())
    return value


def _updated(known: Mapping[str, Any], value: Any) -> dict[str, Any]:
    """Entries by the JSON of their keys; a map comes in parts, and only what changed."""
    return {**known, **{json.dumps(pair[0]): pair for pair in pairs(value)}}


def shown_text(value: Any) -> str:
    """A string as JSON records have it; one that was cut ends in an ellipsis."""
    if isinstance(value, dict):
        return f"{value.get('~str', '')}…"
    return str(value)


def declared(table: SiteTable) -> Iterator[Record]:
    """A record for every cell of a table, with its initial value and no instance; of those that a
    core module counts one for all, which is none that a log can hold."""
    for site in table.sites:
        if site.counted is not None and len(site.counted):
            cells = Declared(table, site.counted)
            yield {"v": 1, "instance": NOWHERE, "phase": "declared", "cells": cells}
        variable = site.variable
        if site.kind is not SiteKind.VARIABLE or variable is None:
            continue
        head, tail = _said_of(site)
        for cell in range(variable.size):
            yield {**head, **place(variable, cell), **tail}


def _said_of(site: Site) -> tuple[Record, Record]:
    """The keys of a variable's records before and behind where a cell is."""
    assert site.variable is not None
    named = (("script", site.version), ("var", site.func), ("probe", site.interface))
    names = {key: text for key, text in (*named, ("module", site.component)) if text}
    type_ = site.variable.type
    tail = {"type": type_, "value": initial(parse_type(type_))}
    return {"v": 1, "instance": NOWHERE, "phase": "report", **names}, tail

"""What a script's variables were last reported to be, and what it printed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from whamm_cm.agent.counted import CountedCells
from whamm_cm.agent.layout import SiteKind
from whamm_cm.agent.table import Site, SiteTable
from whamm_cm.dataclass import dataclass
from whamm_cm.trace.decode import place
from whamm_cm.trace.merge import merged, pairs
from whamm_cm.trace.records import Record
from whamm_cm.trace.types import initial as initial
from whamm_cm.trace.types import parse_type as parse_type

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


@dataclass(frozen=True, slots=True)
class Place:
    """A function and the place in it, as far as a cell has one."""

    fid: int | None = None
    fname: str = ""
    pc: int | None = None


@dataclass(frozen=True, slots=True)
class Cell:
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
        #: the one that was reported last at the end.
        self._rows: dict[Row, dict[Place, dict[int, Any]]] = {}
        self._known: dict[tuple[str, str, str, str, str], Row] = {}

    def feed(self, record: Record) -> None:
        """Takes what a script reported or printed; records of other kinds are let pass."""
        if record["phase"] == "print":
            text = shown_text(record.get("text", ""))
            self.prints.append(Print(record["instance"], text, bool(record.get("raw"))))
        if record["phase"] != "report" or "var" not in record:
            return
        said = (
            record.get("script", ""), record["var"], record.get("type", ""),
            record.get("probe", ""), record.get("module", ""),
        )  # fmt: skip
        row = self._known.get(said)
        if row is None:
            row = self._known[said] = Row(*said)
        at = Place(record.get("fid"), record.get("fname", ""), record.get("pc"))
        values = self._rows.setdefault(row, {}).setdefault(at, {})
        if "value" not in record:  # it was too long for a line
            return
        value, instance = record["value"], record["instance"]
        known = values.pop(instance, None)
        if row.type.startswith("map<"):
            value = _updated(known or {}, value)
        values[instance] = value

    def cells(self, lost: bool = False, per_instance: bool = False) -> Iterator[Cell]:
        """Every cell, merged over the instances that reported anything of its row; one that was
        never reported has its initial value.

        ``lost``: records are missing; ``per_instance``: every cell once per instance.
        """
        everywhere = {i for p in self._rows.values() for values in p.values() for i in values}
        only = everywhere - {NOWHERE}
        nowhere = sorted(only) if len(only) == 1 else [NOWHERE]
        for row, places in self._rows.items():
            seen = {instance for values in places.values() for instance in values}
            instances = sorted(seen - {NOWHERE}) or nowhere
            for at, values in places.items():
                if per_instance or len(instances) == 1:
                    for instance in instances:
                        known = not lost or (instance != NOWHERE and instance in values)
                        yield Cell(row, at, instance, _value(row, values, instance), 1, known)
                else:
                    recent = [i for i in values if i != NOWHERE]
                    unheard = [i for i in instances if i not in values]
                    parts = [_value(row, values, i) for i in (*unheard, *recent)]
                    whole = merged(parse_type(row.type), parts)
                    known = not lost or bool(recent)
                    yield Cell(row, at, NOWHERE, whole, len(instances), known)


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
    """A record for every cell of a table, with its initial value and no instance."""
    for site in table.sites:
        if site.counted is not None:
            yield from _declared_cells(table, site.counted)
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


def _declared_cells(table: SiteTable, counted: CountedCells) -> Iterator[Record]:
    said = {row: _said_of(table.sites[row]) for row in sorted(set(counted.rows))}
    for fid, fname, cells in counted.functions():
        where = {"fid": fid, "fname": fname} if fname else {"fid": fid}
        for cell in cells:
            head, tail = said[counted.rows[cell]]
            yield {**head, **where, "pc": counted.pcs[cell], **tail}

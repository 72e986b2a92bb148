"""What a script's variables were last reported to be, and what it printed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from whamm_cm.agent.layout import SiteKind
from whamm_cm.agent.table import SiteTable
from whamm_cm.lang import tree
from whamm_cm.trace.decode import place
from whamm_cm.trace.reader import Record

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
    """The last value of one cell in one component instance; a map is a list of [key, value]."""

    row: Row
    place: Place
    instance: int
    value: Any


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
        #: Rows in the order they were first heard of, their places likewise, values by instance.
        self._rows: dict[Row, dict[Place, dict[int, Any]]] = {}

    def feed(self, record: Record) -> None:
        """Takes what a script reported or printed; records of other kinds are let pass."""
        if record["phase"] == "print":
            text = shown_text(record.get("text", ""))
            self.prints.append(Print(record["instance"], text, bool(record.get("raw"))))
        if record["phase"] != "report" or "var" not in record:
            return
        row = Row(
            record.get("script", ""), record["var"], record.get("type", ""),
            record.get("probe", ""), record.get("module", ""),
        )  # fmt: skip
        at = Place(record.get("fid"), record.get("fname", ""), record.get("pc"))
        values = self._rows.setdefault(row, {}).setdefault(at, {})
        if "value" not in record:  # it was too long for a line
            return
        value, instance = record["value"], record["instance"]
        if row.type.startswith("map<"):
            value = _merged(values.get(instance, {}), value)
        values[instance] = value

    def cells(self) -> Iterator[Cell]:
        """Every cell once per instance that reported anything of its row; one that was never
        reported has its initial value."""
        everywhere = {i for p in self._rows.values() for values in p.values() for i in values}
        only = everywhere - {NOWHERE}
        nowhere = sorted(only) if len(only) == 1 else [NOWHERE]
        for row, places in self._rows.items():
            seen = {instance for values in places.values() for instance in values}
            instances = sorted(seen - {NOWHERE}) or nowhere
            zero = initial(parse_type(row.type))
            for at, values in places.items():
                for instance in instances:
                    value = values.get(instance, zero)
                    if isinstance(value, dict) and row.type.startswith("map<"):
                        value = list(value.values())
                    yield Cell(row, at, instance, value)


def _merged(known: Mapping[str, Any], value: Any) -> dict[str, Any]:
    """Entries by the JSON of their keys; a map comes in parts, and only what changed."""
    pairs = value.get("~list", []) if isinstance(value, dict) else value
    return {**known, **{json.dumps(pair[0]): pair for pair in pairs}}


def shown_text(value: Any) -> str:
    """A string as JSON records have it; one that was cut ends in an ellipsis."""
    if isinstance(value, dict):
        return f"{value.get('~str', '')}…"
    return str(value)


def declared(table: SiteTable) -> Iterator[Record]:
    """A record for every cell of a table, with its initial value and no instance."""
    for site in table.sites:
        variable = site.variable
        if site.kind is not SiteKind.VARIABLE or variable is None:
            continue
        named = (("script", site.version), ("var", site.func), ("probe", site.interface))
        names = {key: text for key, text in (*named, ("module", site.component)) if text}
        value = initial(parse_type(variable.type))
        for cell in range(variable.size):
            yield {
                "v": 1, "instance": NOWHERE, "phase": "report", **names,
                **place(variable, cell), "type": variable.type, "value": value,
            }  # fmt: skip


# --- types ---------------------------------------------------------------------------------------

_AGGS = ("hist", "min", "max", "avg")


def parse_type(text: str) -> tree.Type:
    """The type of that text; a word it does not know is a primitive of that name."""
    return _Types(text.replace(" ", "")).whole()


class _Types:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def whole(self) -> tree.Type:
        if self._take("map<"):
            key = self.whole()
            self._take(",")
            value = self.whole()
            self._take(">")
            return tree.MapT(key, value)
        if self._take("("):
            items = []
            while self._at < len(self._text) and not self._take(")"):
                items.append(self.whole())
                self._take(",")
            return tree.TupleT(tuple(items))
        start = self._at
        while self._at < len(self._text) and self._text[self._at] not in "(),<>":
            self._at += 1
        word = self._text[start : self._at]
        if not word:  # what is no type at all must not keep us here
            self._at = len(self._text)
        return tree.AggT(word) if word in _AGGS else tree.Prim(word)

    def _take(self, part: str) -> bool:
        found = self._text.startswith(part, self._at)
        self._at += len(part) * found
        return found


def initial(t: tree.Type) -> Any:
    """The value before anything happened, as JSON has it."""
    match t:
        case tree.TupleT(items):
            return [initial(item) for item in items]
        case tree.MapT() | tree.AggT("hist"):
            return []
        case tree.AggT("avg"):
            return [0, 0]
        case tree.AggT():
            return None
        case tree.Prim("bool"):
            return False
        case tree.Prim("str"):
            return ""
        case tree.Prim("f32" | "f64"):
            return 0.0
    return 0

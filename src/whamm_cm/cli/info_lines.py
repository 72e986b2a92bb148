"""The source lines of an input that probes can be at: as text for people, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby

from whamm_cm.front.lines import LineVariable, SourceLine, SourceListing
from whamm_cm.render.safe import printable
from whamm_cm.render.words import counted

#: So many files are shown without -n and -v.
_FILES = 20


def files(listing: SourceListing, first: int | None) -> str:
    """A row a file, those first whose text is at hand."""
    groups = [(key, list(rows)) for key, rows in groupby(listing.lines, _file)]
    groups.sort(key=lambda group: group[1][0].text is None)
    first = _FILES if first is None else first
    found = [f"{counted(len(groups), 'source file')} with lines that probes can be at"]
    for (module, file), rows in groups[:first]:
        names = {name for row in rows for name in row.functions}
        where = f"  core module {printable(module)}" if module else ""
        lines, functions = counted(len(rows), "line"), counted(len(names), "function")
        found.append(f"  {printable(file)}  {lines}, {functions}{where}")
    if len(groups) > first:
        found.append(f"  … {len(groups) - first} more (-n shows more)")
    return _text([*found, *_notes(listing)])


def lines(listing: SourceListing, first: int | None) -> str:
    """A row a line, with its functions and its text, and below it its variables."""
    found: list[str] = []
    for (module, file), rows in groupby(listing.lines, _file):
        shown = list(rows)
        where = f"  core module {printable(module)}" if module else ""
        found.append(f"{printable(file)}  {counted(len(shown), 'line')}{where}")
        found += _rows(shown[:first])
        if first is not None and len(shown) > first:
            found.append(f"  … {len(shown) - first} more (-v shows all)")
    return _text([*found, *_notes(listing)])


def document(listing: SourceListing) -> str:
    """Keys are added, never renamed or taken away while ``v`` is 1."""
    names = ("module", "line", "places", "functions", "text")
    rows = [
        {"file": str(one.file)} | {name: getattr(one, name) for name in names} | _variables(one)
        for one in listing.lines
    ]
    facts = {"v": 1, "lines": rows, "notes": listing.notes}
    return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"


def _variables(line: SourceLine) -> dict[str, object]:
    names = ("name", "type", "parameter", "places", "gone", "why")
    if line.variables is None:
        return {}
    return {"variables": [{name: getattr(x, name) for name in names} for x in line.variables]}


def _file(line: SourceLine) -> tuple[str, str]:
    return line.module, line.file


def _rows(lines: Sequence[SourceLine]) -> Iterator[str]:
    texts = [(str(one.line), ", ".join(map(printable, one.functions)), one) for one in lines]
    digits = max((len(number) for number, _, _ in texts), default=0)
    wide = max((len(names) for _, names, _ in texts), default=0)
    for number, names, one in texts:
        text = "" if one.text is None else f"  | {printable(one.text)}"
        yield f"  {number:>{digits}}  {names:{wide}}{text}".rstrip()
        if one.variables is not None:
            yield from _in_scope(one.variables, one.places, " " * (digits + 6))


def _in_scope(variables: Sequence[LineVariable], places: int, indent: str) -> Iterator[str]:
    """A row a variable; of those that are not there everywhere, where they are not."""
    if not variables:
        yield f"{indent}no variables in scope"
    shown = [(f"src.{printable(one.name)}", one) for one in variables]
    wide = max((len(name) for name, _ in shown), default=0)
    for name, one in shown:
        said = [printable(one.type) + (", parameter" if one.parameter else "")]
        if one.places < places:
            said.append(f"in scope at {one.places} of {places} places")
        if one.gone:
            some = f" at {one.gone} of {one.places} places" if one.gone < one.places else ""
            said.append(f"{one.why}{some}")
        yield f"{indent}{name:{wide}}  {'; '.join(said)}"


def _notes(listing: SourceListing) -> Iterator[str]:
    yield from map(printable, listing.notes)


def _text(found: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in found)

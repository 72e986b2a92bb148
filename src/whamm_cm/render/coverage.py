"""Counts of instructions → counts of source lines and functions, for formats of coverage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from whamm_cm.dataclass import dataclass
from whamm_cm.demangle.name import demangle
from whamm_cm.errors import UsageError
from whamm_cm.render.options import RenderOptions
from whamm_cm.trace.records import Record
from whamm_cm.trace.reports import Cell
from whamm_cm.trace.session import Session
from whamm_cm.trace.types import INTS

if TYPE_CHECKING:
    from whamm_cm.analysis.function_code import FunctionCode

NOTHING = (
    "nothing counts instructions here, which is what coverage is made of; trace with -m hotness or"
    " -m coverage"
)


@dataclass(slots=True)
class File:
    """How often each line that has code was executed, and how often each function was called, by
    its line and readable name."""

    lines: dict[int, int] = field(default_factory=dict)
    functions: dict[tuple[int, str], int] = field(default_factory=dict)

    @property
    def hit(self) -> int:
        """How many lines were executed."""
        return sum(map(bool, self.lines.values()))

    @property
    def called(self) -> int:
        """How many functions were."""
        return sum(map(bool, self.functions.values()))


@dataclass(frozen=True, slots=True)
class Coverage:
    """``title`` is the variable that was counted in; files are by their names, in order."""

    title: str
    files: dict[str, File]

    @property
    def lines(self) -> tuple[int, int]:
        """(executed, there are)."""
        return (
            sum(file.hit for file in self.files.values()),
            sum(len(file.lines) for file in self.files.values()),
        )


def covered(records: Iterable[Record], options: RenderOptions) -> Coverage:
    """What the source lines of ``options`` make of the counts; without source lines, nothing.

    Raises UsageError where nothing was counted.
    """
    session = Session.build(records)
    finder = options.lines
    if finder is None:
        return Coverage("", {})
    counted, counts = counts_of(session)
    if counted is None:
        raise UsageError(NOTHING)
    if not any(module in finder.modules for module, _ in counts):
        name = next(iter(counts), ("", 0))[0]
        raise UsageError(
            f"what was counted is in the core module {name}, which --lines names none of; give the"
            " component that was woven"
        )
    files: dict[str, File] = {}
    nobody = None if session.losses.unknown else 0
    for module, fid, code in finder.code():
        known = counts.get((module, fid), {})
        for (name, line, _), count in counts_of_lines(code, known, nobody).items():
            if count is not None:
                file = files.setdefault(name, File())
                file.lines[line] = file.lines.get(line, 0) + count
        for entry in code.functions:
            count = known.get(entry.pc, nobody)
            if entry.line and entry.name and count is not None:
                called = files.setdefault(entry.file, File()).functions
                key = (entry.line, demangle(entry.name))
                called[key] = called.get(key, 0) + count
    return Coverage(":".join(counted[:2]), dict(sorted(files.items())))


def counts_of_lines(
    code: FunctionCode, known: Mapping[int, int | None], nobody: int | None
) -> dict[tuple[str, int, int], int | None]:
    """How often each copy of a line was executed: as often as its most frequent instruction.

    ``nobody``: what is known of instructions that nobody reported.
    """
    found: dict[tuple[str, int, int], int | None] = {}
    for at in code.instructions:
        count = known.get(at.pc, nobody)
        if count or not at.structure:  # an `end` that branches lead to is not counted
            place = (at.file, at.line, at.copy)
            found[place] = _more(found.get(place, 0), count)
    return found


def _more(one: int | None, other: int | None) -> int | None:
    """The greater; None, which nobody counted, is anything but certainly nothing."""
    if not one and not other:
        return None if one is None or other is None else 0
    return max(one or 0, other or 0)


def counts_of(
    session: Session,
) -> tuple[tuple[str, str, str] | None, dict[tuple[str, int], dict[int, int | None]]]:
    """The variable that has most places, numbers before truth values, as script, name and type, and
    what it says of each place by core module and function; None: unknown.  Nothing where no
    variable counts instructions."""
    variables: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in session.cells:
        if cell.row.type in ("bool", *INTS) and ":opcode:" in cell.row.probe:
            variables.setdefault((cell.row.script, cell.row.var, cell.row.type), []).append(cell)
    if not variables:
        return None, {}
    chosen = max(variables, key=lambda key: (key[2] != "bool", len(variables[key])))
    found: dict[tuple[str, int], dict[int, int | None]] = {}
    for cell in variables[chosen]:
        at = cell.place
        if at.fid is not None and at.pc is not None:
            places = found.setdefault((cell.row.module, at.fid), {})
            count = int(cell.value) if cell.known else None
            places[at.pc] = _more(places.get(at.pc, 0), count)
    return chosen, found

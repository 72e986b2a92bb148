"""What scripts counted at places in core modules, on the lines of the source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from whamm_cm.analysis.dwarf import SourceFile
from whamm_cm.analysis.lines import LineFinder, source_text
from whamm_cm.dataclass import dataclass
from whamm_cm.demangle.name import demangle
from whamm_cm.errors import DecodeError
from whamm_cm.render import coverage
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.page.reports import exact
from whamm_cm.trace.reports import Cell
from whamm_cm.trace.session import Session
from whamm_cm.trace.types import INTS

if TYPE_CHECKING:
    from whamm_cm.analysis.function_code import FunctionCode

#: Characters of all texts together; files of which less was counted go without beyond.
MOST_TEXT = 8 << 20
#: Copies of a line, those that were executed most often.
MOST_COPIES = 20

Json: TypeAlias = dict[str, Any]
#: (script, variable, type)
_Variable: TypeAlias = tuple[str, str, str]
_EXECUTED = "executed"


@dataclass(slots=True)
class _File:
    """``lines``: by the number of a metric what it has for a line, None: nobody knows;
    ``functions``: how often those declared in it were called, by line and name; ``copies``: how
    often a line was executed where a compiler put it, by the number of that place."""

    lines: dict[int, dict[int, int | None]] = field(default_factory=dict)
    functions: dict[tuple[int, str], int] = field(default_factory=dict)
    copies: dict[int, dict[int, int]] = field(default_factory=dict)

    def add(self, line: int, metric: int, value: int | None) -> None:
        """Of what is unknown a sum is, too."""
        values = self.lines.setdefault(line, {})
        before = values.get(metric, 0)
        values[metric] = None if before is None or value is None else before + value

    @property
    def weight(self) -> int:
        """How much of the first metric it has."""
        return sum(values.get(0) or 0 for values in self.lines.values())

    @property
    def touched(self) -> bool:
        """Whether anything was counted in it, or may have been."""
        return any(value != 0 for values in self.lines.values() for value in values.values())


def sources(session: Session, options: RenderOptions) -> Json | None:
    """``{"metrics", "files", "places", "others", "notes"}``; None without source lines, or where
    nothing is counted at places in core modules.

    A metric is ``{"name", "what"}``: of ``executed`` a line has how often it was executed, of
    ``covered`` whether it was, of ``sum`` all that was counted in it.  A file is :func:`_file`.
    ``places`` are where code was put in place of a call: (function, file, line that calls) from
    the innermost out, and the function around them.  ``others``: files without text in which
    nothing was counted.
    """
    finder, variables = options.lines, _counted(session)
    if finder is None or not variables:
        return None
    found = _Found(finder)
    found.execute(session)
    for key, cells in variables.items():
        if key != found.covered:
            found.sum(key, cells)
    if not found.files:
        return None
    texts = _Texts(finder)
    order = sorted(found.files.items(), key=lambda item: (-item[1].weight, item[0]))
    files, others, room = [], 0, MOST_TEXT
    for path, file in order:
        text = texts(path)
        size = sum(map(len, text or ()))
        if size > room:
            found.notes.append(f"{path}: its text is left out, the page would be too large")
            text, size = None, 0
        room -= size
        if text is None and not file.touched:
            others += 1
        else:
            files.append(_file(path, file, text, len(found.metrics)))
    return {
        "metrics": found.metrics,
        "files": files,
        "places": found.places,
        "others": others,
        "notes": [*finder.notes, *found.notes],
    }


def with_lines(session: Session, options: RenderOptions) -> RenderOptions:
    """The options with what knows source lines, if there is a component and something is counted
    at places in it."""
    if options.lines is not None or options.app is None or not _counted(session):
        return options
    name, data = options.app
    return replace(options, lines=LineFinder.of(data, name))


def _counted(session: Session) -> dict[_Variable, list[Cell]]:
    """Variables that have a number for places in code, by the order of their names."""
    found: dict[_Variable, list[Cell]] = {}
    for cell in session.cells:
        at, row = cell.place, cell.row
        if row.type in ("bool", *INTS) and at.fid is not None and at.pc is not None:
            found.setdefault((row.script, row.var, row.type), []).append(cell)
    return found


def _file(path: str, file: _File, text: list[str] | None, metrics: int) -> Json:
    """``{"path", "text", "lines", "values", "functions", "copies"}``: the numbers of the lines that
    have code, and for each metric what it has for each of them (null: none, "?": nobody knows).
    ``functions`` are (line, name, calls), ``copies`` (line, number of a place, count)."""
    lines = sorted(file.lines)
    values = [[_shown(file.lines[line], metric) for line in lines] for metric in range(metrics)]
    copies = [
        (line, place, exact(count))
        for line, counts in sorted(file.copies.items())
        for place, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:MOST_COPIES]
    ]
    return {
        "path": path,
        **({} if text is None else {"text": text}),
        "lines": lines,
        "values": values,
        "functions": [
            (line, name, exact(called)) for (line, name), called in sorted(file.functions.items())
        ],
        "copies": copies,
    }


def _shown(values: Mapping[int, int | None], metric: int) -> int | str | None:
    if metric not in values:
        return None
    value = values[metric]
    return "?" if value is None else exact(value)


class _Found:
    """What is found, by the paths of files."""

    def __init__(self, finder: LineFinder) -> None:
        self._finder = finder
        self.files: dict[str, _File] = {}
        self.metrics: list[Json] = []
        self.places: list[Json] = []
        self.notes: list[str] = []
        #: The variable whose values say no more than that lines were executed.
        self.covered: _Variable | None = None
        self._place_of: dict[tuple[str, int], int] = {}

    def sum(self, key: _Variable, cells: Sequence[Cell]) -> None:
        """All that a variable counts in a line."""
        metric = self._metric(key, "covered" if key[2] == "bool" else "sum")
        for cell in cells:
            assert cell.place.fid is not None and cell.place.pc is not None
            place = self._finder.find(cell.row.module, cell.place.fid, cell.place.pc)
            if place is None:
                continue
            value = int(cell.value) if cell.known else None
            file = self._file(place[0])
            file.add(place[1], metric, value)
            if key[2] == "bool" and value:
                file.lines[place[1]][metric] = 1

    def execute(self, session: Session) -> None:
        """How often lines were executed, if most of their instructions are counted."""
        key, counts = coverage.counts_of(session)
        if key is None or not any(module in self._finder.modules for module, _ in counts):
            return
        try:
            codes = list(self._finder.code())
        except DecodeError as error:
            self.notes.append(str(error))
            return
        if not _dense(codes, counts):
            return
        metric = self._metric(key, "covered" if key[2] == "bool" else _EXECUTED)
        if key[2] == "bool":
            self.covered = key
        nobody = None if session.losses.unknown else 0
        for module, fid, code in codes:
            known = counts.get((module, fid), {})
            self._function(module, fid, code, metric, known, nobody)

    def _function(
        self,
        module: str,
        fid: int,
        code: FunctionCode,
        metric: int,
        known: Mapping[int, int | None],
        nobody: int | None,
    ) -> None:
        lines = coverage.counts_of_lines(code, known, nobody)
        for (name, line, copy), count in lines.items():
            file = self._file(name)
            file.add(line, metric, count)
            if count and copy >= 0:
                number = self._place(module, fid, copy)
                if number >= 0:
                    copies = file.copies.setdefault(line, {})
                    copies[number] = copies.get(number, 0) + count
        for entry in code.functions:
            called = known.get(entry.pc, nobody)
            if entry.line and entry.name and called is not None:
                functions = self._file(entry.file).functions
                declared = (entry.line, demangle(entry.name))
                functions[declared] = functions.get(declared, 0) + called

    def _place(self, module: str, fid: int, copy: int) -> int:
        """The number of the place that a copy of a function was put into; -1: it is no copy."""
        known = self._place_of.get((module, copy))
        if known is None:
            known = self._place_of[module, copy] = self._read_place(module, fid, copy)
        return known

    def _read_place(self, module: str, fid: int, copy: int) -> int:
        core = self._finder.modules[module]
        lines = self._finder.sources.of(core)
        assert lines is not None
        chain = lines.chain(copy)
        if not chain:
            return -1
        body = core.bodies[fid - len(core.imported("func"))]
        around = lines.whole(body.start, body.end)
        frames = [
            (demangle(one.name), _path(one.called[0]), one.called[1]) for one in reversed(chain)
        ]
        self.places.append({"frames": frames, "in": demangle(around.name) if around else ""})
        return len(self.places) - 1

    def _metric(self, key: _Variable, what: str) -> int:
        script, var, _ = key
        self.metrics.append({"name": f"{script}:{var}" if script else var, "what": what})
        return len(self.metrics) - 1

    def _file(self, name: str) -> _File:
        path = _path(name)
        file = self.files.get(path)
        if file is None:
            file = self.files[path] = _File()
        return file


class _Texts:
    """The texts of files, as far as they are at hand: below the current directory, or in the debug
    information itself."""

    def __init__(self, finder: LineFinder) -> None:
        self._inside = finder.sources.texts
        every = (file for lines in finder.sources.all() for file in lines.files)
        self._given = {_path(file): file for file in every}

    def __call__(self, path: str) -> list[str] | None:
        """The lines of a file, which may be where its path says or where the compiler was told."""
        given = self._given.get(path, path)
        return source_text(given) or self._inside.get(given)


def _path(file: str) -> str:
    return file.path if isinstance(file, SourceFile) else file


def _dense(
    codes: Sequence[tuple[str, int, FunctionCode]],
    counts: Mapping[tuple[str, int], Mapping[int, int | None]],
) -> bool:
    """Whether it is instructions that are counted, and not some of them: of those in lines where
    any is, at least half are."""
    there = seen = 0
    for module, fid, code in codes:
        known = counts.get((module, fid))
        if not known:
            continue
        lines = {(at.file, at.line) for at in code.instructions if at.pc in known}
        for at in _plain(code):
            if (at.file, at.line) in lines:
                there += 1
                seen += at.pc in known
    return 2 * seen >= there > 0


def _plain(code: FunctionCode) -> Iterator[Any]:
    return (at for at in code.instructions if not at.structure)

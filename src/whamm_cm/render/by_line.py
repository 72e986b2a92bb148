"""What a script counts at places in core modules, put together by the lines of their source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field

from whamm_cm.analysis.lines import LineFinder, source_text
from whamm_cm.dataclass import dataclass
from whamm_cm.render import scripted
from whamm_cm.render.safe import printable
from whamm_cm.trace.merge import merged
from whamm_cm.trace.reports import Cell, Place
from whamm_cm.trace.types import INTS, parse_type

#: So many lines of text without a count are shown between lines with one.
_GAP = 3
#: So many lines without text are shown that nothing happened to; more hide what did.
_UNTOUCHED = 10


@dataclass(slots=True)
class _Line:
    """``total`` of its cells, as far as they are ``known``, which are in ``functions``."""

    total: int = 0
    known: bool = True
    functions: dict[str, None] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return str(self.total) if self.known else "unknown"


def adds_up(cell: Cell) -> bool:
    """Whether its variable has a number for a line, which :func:`annotated` shows."""
    return cell.row.type in ("bool", *INTS)


def annotated(group: Sequence[Cell], finder: LineFinder) -> Iterator[str]:
    """Files, those first that have most of the sum of all cells of a variable, with the text of
    their lines where it is at hand; else with the functions that the cells are in.  Shares are of
    that sum, or, of truth values, a file's share is of its lines."""
    files: dict[str, dict[int, _Line]] = {}
    for cell in group:
        file, line = _place(cell, finder) or ("", 0)
        at = files.setdefault(file, {}).setdefault(line, _Line())
        if cell.row.type == "bool":
            at.total = max(at.total, int(cell.value))
        else:
            at.total += int(cell.value)
        at.known &= cell.known
        at.functions[scripted.readable_name(cell.place)] = None
    sums = {file: sum(line.total for line in lines.values()) for file, lines in files.items()}
    covers = group[0].row.type == "bool"
    total = 0 if covers else sum(sums.values())
    untouched = [file for file, lines in files.items() if not any(map(_touched, lines.values()))]
    for file in sorted(files, key=lambda file: (not file, -sums[file], file)):
        if file in untouched:
            continue
        lines = files[file]
        if not file:
            yield f"  (no line known)  {lines[0].text}  {_share(sums[file], total)}"
            continue
        hit = sum(map(_touched, lines.values()))
        share = _share(hit, len(lines)) if covers else _share(sums[file], total)
        yield f"  {printable(file)}  {share}, {hit} of {len(lines)} lines"
        yield from _lines(lines, source_text(file), total)
    if untouched:
        yield f"  ({len(untouched)} other files: 0)"


def joined(group: Sequence[Cell], finder: LineFinder) -> list[Cell]:
    """One cell for each line instead of those in it, of variables that are not numbers; its place
    has the line for a name."""
    found: dict[str, list[Cell]] = {}
    for cell in group:
        place = _place(cell, finder)
        name = "(no line known)" if place is None else f"{place[0]}:{place[1]}"
        found.setdefault(name, []).append(cell)
    kind = parse_type(group[0].row.type)
    return [
        cells[0]._replace(
            place=Place(None, name),
            value=merged(kind, [cell.value for cell in cells]),
            known=all(cell.known for cell in cells),
        )
        for name, cells in found.items()
    ]


def _place(cell: Cell, finder: LineFinder) -> tuple[str, int] | None:
    at = cell.place
    if at.fid is None or at.pc is None:
        return None
    return finder.find(cell.row.module, at.fid, at.pc)


def _touched(line: _Line) -> bool:
    return line.total != 0 or not line.known


def _lines(lines: dict[int, _Line], text: list[str] | None, total: int) -> Iterator[str]:
    shown = sorted(lines)
    left = []
    if text is None:
        left = [line for line in shown if not _touched(lines[line])]
        left = left if len(left) > _UNTOUCHED else []
        shown = [line for line in shown if line not in set(left)]
    wide = max(len(lines[line].text) for line in shown)
    digits = len(str(shown[-1]))
    before = shown[0] - 1
    for line in shown:
        if text is not None and line - before > _GAP + 1:
            yield f"    {'':{wide}}  {'':6}  {'':{digits}} …"
        elif text is not None:
            for between in range(before + 1, line):
                yield f"    {'':{wide}}  {'':6}  {between:>{digits}} | {_text(text, between)}"
        before, at = line, lines[line]
        said = ", ".join(map(printable, at.functions)) if text is None else _text(text, line)
        share = _share(at.total, total) if at.known else ""
        yield f"    {at.text:>{wide}}  {share:>6}  {line:>{digits}} | {said}"
    if left:
        yield f"    ({len(left)} other lines: 0)"


def _text(text: list[str], line: int) -> str:
    return printable(text[line - 1].rstrip().expandtabs()) if line <= len(text) else ""


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if whole else ""

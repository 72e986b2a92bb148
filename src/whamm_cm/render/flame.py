"""A flame graph for terminals: callers above what they call, as wide as their share; below, the
functions and the ways to them that most of it is spent in.

It is as wide as the terminal and has its colours; elsewhere 80 columns of plain text.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from whamm_cm.render import frames
from whamm_cm.render.calltree import CallTree, Frame, trees
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.safe import printable
from whamm_cm.render.words import counted
from whamm_cm.trace.records import Record
from whamm_cm.trace.session import Session

#: Rows of the picture, of functions, and of ways to them.
_DEEPEST, _FUNCTIONS, _PATHS = 30, 10, 5
#: Of a terminal's 256 colours those that black text can be read on; neighbours differ.
_COLOURS = (215, 150, 117, 222, 183, 115, 180, 218, 111, 186, 209, 152)
_REST = 249
_NARROWEST = 48
EFFECT = "shares may be wrong"


class Cell(NamedTuple):
    """A frame in columns ``start`` to ``end``, with those that it does nothing but call; without
    frames, several that are too narrow for one each."""

    start: int
    end: int
    frames: list[Frame]

    @property
    def width(self) -> int:
        return self.end - self.start


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    session = Session.build(records)
    yield from (line + "\n" for line in several(trees(session, options.per_instance), options))
    if session.losses:
        yield f"\n{printable(session.losses.sentence(EFFECT))}\n"


def several(found: list[CallTree], options: RenderOptions) -> Iterator[str]:
    """One below the other, as lines without their ends."""
    for number, tree in enumerate(found):
        yield from [""] * (number > 0)
        yield from _lines(tree, len(found) > 1, options)


def _lines(tree: CallTree, named: bool, options: RenderOptions) -> Iterator[str]:
    width, heading = max(options.width, _NARROWEST), frames.heading(tree, named)
    if not tree.root.total:
        yield f"{heading}: nothing to show"
        return
    yield _bold(heading, options.colour)
    rows, deeper = _rows(tree.root, width)
    for row in rows:
        yield _row(row, tree.root.total, options.colour).rstrip()
    if deeper:
        yield f"… {counted(deeper, 'level')} more"
    yield ""
    yield from _functions(tree, width, options.colour)
    yield from _paths(tree, width, options.colour)


def _rows(root: Frame, width: int) -> tuple[list[list[Cell]], int]:
    """The rows of the picture, and how many there would be more."""
    rows: list[list[Cell]] = []
    level = [(0, root)]
    while level:
        row: list[Cell] = []
        below: list[tuple[int, Frame]] = []
        for at, frame in level:
            for cell, offset in _callees(frame, at, root.total, width):
                row.append(cell)
                if cell.frames:
                    below.append((offset, cell.frames[-1]))
        if row:
            rows.append(row)
        level = below
    return rows[:_DEEPEST], max(0, len(rows) - _DEEPEST)


def _callees(frame: Frame, at: int, whole: int, width: int) -> Iterator[tuple[Cell, int]]:
    """What ``frame``, which begins at the weight ``at``, calls, and where each begins.  Columns
    are rounded from the left edge on, so that nothing is outside of what it is called by."""

    def column(weight: int) -> int:
        return (2 * weight * width + whole) // (2 * whole)

    until = column(at + sum(inner.total for inner in frame.callees.values()))
    for inner in frames.heavy_first(frame):
        start, end = column(at), column(at + inner.total)
        if start == end:
            if start < until:
                yield Cell(start, until, []), at
            return
        yield Cell(start, end, frames.chain(inner)), at
        at += inner.total


def _row(row: list[Cell], whole: int, colour: bool) -> str:
    text, at = "", 0
    for cell in row:
        text += " " * (cell.start - at) + (_block if colour else _box)(cell, whole)
        at = cell.end
    return text


def _box(cell: Cell, whole: int) -> str:
    if not cell.frames:
        return "." * cell.width
    return "|" if cell.width == 1 else f"[{_label(cell, cell.width - 2, whole)}]"


def _block(cell: Cell, whole: int) -> str:
    """The edge of a block is an eighth of a column."""
    label = _label(cell, cell.width - 1, whole) if cell.frames else "…".ljust(cell.width - 1)
    number = colour_of(cell.frames[-1].name) if cell.frames else _REST
    return f"\x1b[38;5;16;48;5;{number}m▏{label[: cell.width - 1]}\x1b[0m"


def _label(cell: Cell, room: int, whole: int) -> str:
    """``a → b       47.0%``, the share where there is room for it."""
    names = frames.chained([frame.name for frame in cell.frames])
    text = frames.fit(names, room)
    share = _share(cell.frames[0].total, whole).strip()
    left = room - frames.columns(text)
    return text + (share.rjust(left) if left > len(share) else " " * left)


def colour_of(name: str) -> int:
    return _COLOURS[zlib.crc32(frames.group(name).encode("utf-8", "replace")) % len(_COLOURS)]


def _matters(weight: int, whole: int) -> bool:
    """Whether it is more than nothing when it is rounded."""
    return 2000 * weight >= whole


def _share(weight: int, whole: int) -> str:
    return f"{100 * weight / whole:5.1f}%"


def _functions(tree: CallTree, width: int, colour: bool) -> Iterator[str]:
    """A line for each function with a bar of what it spends itself."""
    rows, whole = frames.functions(tree.root), tree.root.total
    shown = [row for row in rows[:_FUNCTIONS] if _matters(row[1], whole)]
    texts = [frames.weight_text(tree, own) for _, own, _ in shown]
    most = max(own for _, own, _ in rows)
    wide = max(map(len, (*texts, "own")))
    bar = min(width // 5, width - _NARROWEST)
    head = f"{'own':>{wide}}   share  {'':{bar + 2}}   total  function"
    yield _bold(head, colour)
    room = width - len(head) + len("function")
    for (name, own, total), text in zip(shown, texts, strict=True):
        yield (
            f"{text:>{wide}}  {_share(own, whole)}  {_bar(name, own / most, bar, colour)}"
            f"  {_share(total, whole)}  {frames.fit([name], room)}"
        )
    rest = sum(own for _, own, _ in rows[len(shown) :])
    if rest:
        others = counted(sum(own > 0 for _, own, _ in rows[len(shown) :]), "other")
        yield f"({others}: {_share(rest, whole).strip() if _matters(rest, whole) else '< 0.1%'})"


def _bar(name: str, part: float, room: int, colour: bool) -> str:
    if not colour:
        return f"|{'#' * round(part * room):{room}}|"
    eighths = round(8 * part * room)
    text = "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
    return f" \x1b[38;5;{colour_of(name)}m{text:{room}}\x1b[0m "


def _paths(tree: CallTree, width: int, colour: bool) -> Iterator[str]:
    """The stacks that most is spent at the end of."""
    whole = tree.root.total
    found = [stack for stack in tree.stacks if _matters(stack[1], whole)]
    if len(found) < 2:
        return
    yield ""
    yield _bold("hot paths", colour)
    for stack, own in sorted(found, key=lambda stack: (-stack[1], stack[0]))[:_PATHS]:
        path = frames.fit(frames.chained([*stack]), width - 8)
        yield f"{_share(own, whole)}  {path}"


def _bold(text: str, colour: bool) -> str:
    return f"\x1b[1m{text}\x1b[0m" if colour else text

"""A flame graph as a picture: callers above what they call, as wide as their share.

The picture stays small whatever the log: what is too narrow to be seen is drawn together, and the
deepest levels are left out, which the picture says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from whamm_cm.dataclass import dataclass
from whamm_cm.render import frames, svg
from whamm_cm.render.calltree import CallTree, Frame, trees
from whamm_cm.render.options import RenderOptions
from whamm_cm.trace.records import Record
from whamm_cm.trace.session import Session

WIDTH, _LEFT, _TOP, _ROW = 1000, 12, 32, 19
_INNER = WIDTH - 2 * _LEFT
#: Levels of a tree, trees in a picture, and marks in a tree.
_MAX_DEPTH, _MAX_TREES, _MAX_MARKS = 40, 6, 2500
_MAX_NAME = 160
#: Of a letter, and on both sides of a name, in the units of the picture.
_LETTER, _PAD = 7.3, 4


@dataclass(frozen=True, slots=True)
class Mark:
    """A frame, or (``frame`` None) ``count`` that are too narrow to be told apart."""

    start: float
    end: float
    row: int
    frame: Frame | None
    count: int = 1


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    session = Session.build(records)
    found = trees(session, options.per_instance)
    body: list[str] = []
    y = 0.0
    for number, tree in enumerate(found[:_MAX_TREES]):
        part, y = _drawn(tree, y, len(found) > 1, f"tree-{number + 1}")
        body += part
    notes = [f"{len(found) - _MAX_TREES} more trees not shown."] if len(found) > _MAX_TREES else []
    if session.losses:
        notes.append(session.losses.sentence("shares may be wrong"))
    for note in notes:
        body.append(svg.text(_LEFT, y + 12, note, fits=_INNER, class_="dim sans"))
        y += 16
    about = "; ".join(frames.heading(tree, len(found) > 1) for tree in found[:_MAX_TREES])
    yield from svg.picture(WIDTH, y + 8, "Flame graph", about, body)


def _drawn(tree: CallTree, top: float, named: bool, id_: str) -> tuple[list[str], float]:
    """The marks of a tree that begins at ``top``, and where it ends."""
    head = svg.text(
        _LEFT, top + 18, frames.heading(tree, named), fits=_INNER, class_="ink sans bold"
    )
    if not tree.root.total:
        return [head], top + _TOP
    marks, deeper = _marks(tree.root)
    y = top + _TOP
    parts = [_mark(mark, y + mark.row * _ROW, tree) for mark in marks]
    bottom = y + (max(mark.row for mark in marks) + 1) * _ROW
    if deeper:
        note = f"What is deeper than {_MAX_DEPTH} calls is not shown."
        parts.append(svg.text(_LEFT, bottom + 12, note, class_="dim sans"))
        bottom += 16
    return [head, svg.tag("g", {"id": id_}, *parts)], bottom + 6


def _marks(root: Frame) -> tuple[list[Mark], bool]:
    """As fine as fits into a picture, and whether there are levels that do not."""
    grain = 1.0
    while True:
        found, deeper = _laid(root, grain)
        if len(found) <= _MAX_MARKS:
            return found, deeper
        grain *= 2


def _laid(root: Frame, grain: float) -> tuple[list[Mark], bool]:
    scale = _INNER / root.total
    found: list[Mark] = []
    level, row = [(0, root)], 0
    while level and row < _MAX_DEPTH:
        below: list[tuple[int, Frame]] = []
        for at, frame in level:
            for inner, start in _callees(frame, at, grain / scale):
                if isinstance(inner, Frame):
                    below.append((start, inner))
                    found.append(_placed(start, inner.total, row, inner, 1, scale))
                else:
                    count, weight = inner
                    found.append(_placed(start, weight, row, None, count, scale))
        level, row = below, row + 1
    return found, any(frame.callees for _, frame in level)


def _placed(at: int, weight: int, row: int, frame: Frame | None, n: int, scale: float) -> Mark:
    return Mark(_LEFT + at * scale, _LEFT + (at + weight) * scale, row, frame, n)


def _callees(frame: Frame, at: int, least: float) -> Iterator[tuple[Frame | tuple[int, int], int]]:
    """What it calls, and where each begins; behind them how many are lighter than ``least``, with
    their weight, where these together are not."""
    inner = frames.heavy_first(frame)
    for number, one in enumerate(inner):
        if one.total < least:
            rest = inner[number:]
            weight = sum(other.total for other in rest)
            if weight >= least / 2:
                yield (len(rest), weight), at
            return
        yield one, at
        at += one.total


def _mark(mark: Mark, y: float, tree: CallTree) -> str:
    width = max(mark.end - mark.start - 0.5, 0.4)
    box = (mark.start, y, width, _ROW - 1)
    if mark.frame is None:
        return svg.rect(*box, svg.title(f"{mark.count:,} more"), class_="rest")
    frame = mark.frame
    whole = tree.root.total
    facts = [
        svg.fit(frame.name, _MAX_NAME * _LETTER),
        f"{frames.weight_text(tree, frame.total)}, {100 * frame.total / whole:.1f}%",
        f"own: {frames.weight_text(tree, frame.own)}, {100 * frame.own / whole:.1f}%",
    ]
    if frame.inlined:
        facts.append("put in place of a call")
    parts = [svg.title("\n".join(facts)), svg.rect(*box, class_=svg.class_of(frame.name))]
    if frame.inlined:
        line = f"M{svg.num(mark.start)} {svg.num(y + _ROW - 2)}h{svg.num(width)}"
        parts.append(svg.tag("path", {"d": line, "class_": "line", "stroke_dasharray": "2 2"}))
    name = frames.fit([frame.name], int((width - 2 * _PAD) / _LETTER))
    if name:
        parts.append(svg.text(mark.start + _PAD, y + 13, name, class_="ink"))
    return svg.tag("g", {}, *parts)

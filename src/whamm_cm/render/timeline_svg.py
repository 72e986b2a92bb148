"""The calls of a log over time, as a picture: a lane per instance, calls inside calls.

The picture stays small whatever the log: what is too narrow to be seen is drawn together, and the
deepest calls and the last lanes are left out, which the picture says.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from whamm_cm.dataclass import dataclass
from whamm_cm.render import svg
from whamm_cm.render.lanes import Lane, Slice, lanes, spans
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.words import brief_ns, counted
from whamm_cm.trace.calls import Outcome
from whamm_cm.trace.records import Record
from whamm_cm.trace.session import Session

WIDTH, _LEFT, _TOP, _ROW, _GAP = 1000, 12, 44, 18, 12
_INNER = WIDTH - 2 * _LEFT
#: Rows of nested calls in a lane, lanes in a picture, and marks in all of it.
_MAX_DEPTH, _MAX_LANES, _MAX_MARKS = 10, 30, 3000
#: A name of a call is not longer than this in what is shown under the mouse.
_MAX_NAME = 160
#: What is narrower has no text in it.
_LEAST = 24


@dataclass(frozen=True, slots=True)
class Mark:
    """A call, a wait, or (``piece`` None) ``count`` calls too narrow to be told apart, at a row of
    a lane."""

    start: float
    end: float
    row: int
    piece: Slice | None
    count: int = 1
    failed: int = 0


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    session = Session.build(records)
    found = lanes(session)
    first = min((lane.slices[0].start for lane in found), default=0)
    last = max((piece.end for lane in found for piece in lane.slices), default=first)
    scale = _Scale(first, max(last - first, 1), session.timed)
    shown, deeper = _drawn(found[:_MAX_LANES], scale)
    rows = [(_name(lane), marks) for lane, marks in shown]
    late, beside = _beside(session, scale)
    rows += [("asynchronous calls, from call to result", late)] if late else []
    y, body = float(_TOP), list[str]()
    for number, (name, marks) in enumerate(rows, 1):
        body.append(_lane(number, name, marks, y, scale))
        y += _ROW + (max(mark.row for mark in marks) + 1) * _ROW + _GAP
    notes = _notes(session, len(found) - len(shown), deeper, beside)
    notes_at = [(y + 12 + 16 * at, note) for at, note in enumerate(notes)]
    body += [svg.text(_LEFT, at, note, class_="dim sans") for at, note in notes_at]
    name = f"Timeline of {counted(len(session.calls), 'call')}"
    about = f"{counted(len(found), 'lane')} over {scale.text(last - first)}"
    parts = [svg.text(_LEFT, 18, f"{name}, {about}", class_="ink sans bold"), *_axis(scale, y)]
    height = y + 16 * len(notes) + 6
    yield from svg.picture(WIDTH, height, name, about, [*parts, *body])


@dataclass(frozen=True, slots=True)
class _Scale:
    """From times (or records) to places in the picture."""

    first: int
    span: int
    timed: bool

    def x(self, at: float) -> float:
        return _LEFT + (at - self.first) / self.span * _INNER

    def text(self, length: float) -> str:
        return brief_ns(length) if self.timed else f"{round(length / 1000):,} records"


def _drawn(found: Sequence[Lane], scale: _Scale) -> tuple[list[tuple[Lane, list[Mark]]], int]:
    """The marks of each lane, as fine as fits into a picture, and how many calls lie deeper."""
    rows = [(lane, *_rows(lane, scale)) for lane in found]
    deeper = sum(left for _, _, left in rows)
    grain = 1.0
    while True:
        shown = [(lane, _merged(marks, grain)) for lane, marks, _ in rows]
        if sum(len(marks) for _, marks in shown) <= _MAX_MARKS:
            return shown, deeper
        grain *= 2


def _rows(lane: Lane, scale: _Scale) -> tuple[list[list[Mark]], int]:
    """By row, in order of start; and how many are deeper than the last row."""
    rows: list[list[Mark]] = []
    deeper, depth, inside = 0, 0, 0
    for opens, _, piece in lane.steps():
        if not opens:
            depth -= 1
            continue
        inside, depth = depth, depth + 1
        if inside >= _MAX_DEPTH:
            deeper += not piece.waits
            continue
        while len(rows) <= inside:
            rows.append([])
        failed = int(piece.call.failed and not piece.waits)
        rows[inside].append(
            Mark(scale.x(piece.start), scale.x(piece.end), inside, piece, 1, failed)
        )
    return rows, deeper


def _merged(rows: Sequence[Sequence[Mark]], grain: float) -> list[Mark]:
    """With what is narrower than ``grain`` put together with its neighbours that are."""
    found: list[Mark] = []
    for row in rows:
        narrow: Mark | None = None
        for mark in row:
            if mark.end - mark.start >= grain:
                found += [] if narrow is None else [narrow]
                narrow = None
                found.append(mark)
            elif narrow is not None and mark.start - narrow.end < grain:
                count, failed = narrow.count + mark.count, narrow.failed + mark.failed
                narrow = Mark(narrow.start, mark.end, mark.row, None, count, failed)
            else:
                found += [] if narrow is None else [narrow]
                narrow = mark
        found += [] if narrow is None else [narrow]
    return found


def _beside(session: Session, scale: _Scale) -> tuple[list[Mark], int]:
    """Asynchronous calls that their callers did not wait for, packed into rows; and how many have
    no room."""
    ends: list[float] = []
    found: list[Mark] = []
    pieces = spans(session)
    for piece in pieces[: _MAX_MARKS // 10]:
        start, end = scale.x(piece.start), scale.x(piece.end)
        row = next((at for at, until in enumerate(ends) if until <= start), len(ends))
        if row >= _MAX_DEPTH:
            continue
        ends[row : row + 1] = [max(end, start + 1)]
        found.append(Mark(start, end, row, piece, 1, int(piece.call.failed)))
    return found, len(pieces) - len(found)


def _name(lane: Lane) -> str:
    return f"{lane.component} · {lane.label}" if lane.component else lane.label


def _lane(number: int, name: str, marks: Sequence[Mark], y: float, scale: _Scale) -> str:
    """``number`` makes it something that can be linked to."""
    head = svg.text(_LEFT, y + 12, name, fits=_INNER, class_="ink sans bold")
    drawn = [part for mark in marks for part in _mark(mark, y + _ROW, scale)]
    return svg.tag("g", {"id": f"lane-{number}"}, "\n".join([head, *drawn]))


def _mark(mark: Mark, y: float, scale: _Scale) -> Iterator[str]:
    top, width = y + mark.row * _ROW, max(mark.end - mark.start, 0.6)
    piece, kind, said, shown = mark.piece, "rest", "", ""
    if piece is None:
        said = counted(mark.count, "call") + (f", {mark.failed} failed" if mark.failed else "")
    else:
        kind = "wait" if piece.waits else svg.class_of(piece.call.site.item)
        shown, length = piece.name, scale.text(piece.end - piece.start)
        said = f"{svg.fit(piece.name, _MAX_NAME * 7.3)}\n{length}{_ending(piece)}"
    inner = svg.title(said)
    yield svg.rect(mark.start, top, width, _ROW - 2, inner, class_=kind)
    if mark.failed:
        yield svg.rect(mark.start, top + _ROW - 5, width, 3, class_="bad")
    if piece is not None and width > _LEAST:
        name = _shortened(f"✗ {shown}" if mark.failed else shown, width - 6)
        yield svg.text(
            mark.start + 3, top + 12, name, fits=width - 6, class_="ink", pointer_events="none"
        )


def _shortened(name: str, width: float) -> str:
    """Without the interface where there is no room for it."""
    head, mark, func = name.rpartition("#")
    if not mark or svg.text_width(name) <= width:
        return name
    return f"✗ {func}" if head.startswith("✗") else func


def _ending(piece: Slice) -> str:
    call = piece.call
    if piece.waits:
        return ""
    if call.failed:
        return ", failed"
    if call.cancelled:
        return f", cancelled {call.cancelled}"
    return "" if call.outcome is Outcome.RETURNED else f", {call.outcome.value}"


def _axis(scale: _Scale, bottom: float) -> Iterator[str]:
    """Lines at round times, at most ten of them."""
    step = nice(scale.span / 8)
    at = 0.0
    while at <= scale.span:
        x = scale.x(scale.first + at)
        yield svg.tag("path", {"d": f"M{svg.num(x)} 32V{svg.num(bottom)}", "class_": "grid"})
        label = scale.text(at) if at else "0"
        if x < WIDTH - 60:
            yield svg.text(x + 3, 38, label, class_="dim sans", font_size=10)
        at += step


def nice(least: float) -> float:
    """The next of 1, 2, 5, 10, 20 …"""
    power = 10.0 ** math.floor(math.log10(max(least, 1)))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)


def _notes(session: Session, more_lanes: int, deeper: int, beside: int) -> list[str]:
    """What the picture does not show."""
    found = []
    if not session.calls:
        found.append("There are no calls in this log.")
    if more_lanes:
        found.append(f"{counted(more_lanes, 'more lane')} not shown.")
    if deeper:
        found.append(f"{counted(deeper, 'call')} deeper than {_MAX_DEPTH} calls not shown.")
    if beside:
        found.append(f"{counted(beside, 'more asynchronous call')} not shown.")
    if session.losses:
        found.append(session.losses.sentence(remedy=False))
    return found

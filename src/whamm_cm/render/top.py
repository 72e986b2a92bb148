"""The table of ``top`` as cells: who draws it, or prints it, lays it out."""

from __future__ import annotations

from collections.abc import Callable

from whamm_cm.dataclass import dataclass
from whamm_cm.render.safe import printable
from whamm_cm.render.words import brief_bytes, brief_ns, counted
from whamm_cm.trace.groups import Group
from whamm_cm.trace.window import Window

#: Names and widths of the columns before the name.
COLUMNS = (
    *(("calls/s", 8), ("err/s", 7), ("p95", 7), ("bytes/s", 8), ("calls", 9), ("errors", 7)),
)


@dataclass(frozen=True, slots=True)
class Row:
    """``lately`` are the last seconds, ``total`` all that there was."""

    lately: Group
    total: Group
    seconds: float

    def rate(self, count: int) -> float:
        return count / self.seconds

    @property
    def p95(self) -> float | None:
        """Of the last seconds; nothing came in them, of all."""
        group = self.lately if self.lately.times.count else self.total
        return group.times.quantile(0.95)

    def cells(self) -> list[str]:
        lately, total = self.lately, self.total
        return [
            _rate(self.rate(lately.calls)), _rate(self.rate(lately.errors)), brief_ns(self.p95),
            brief_bytes(round(self.rate(lately.sent + lately.received))),
            str(total.calls), str(total.errors) if total.errors else "",
        ]  # fmt: skip


#: By what rows can be sorted, the greatest first; ties by name.
SORTS: dict[str, Callable[[Row], float]] = {
    "calls": lambda row: row.rate(row.lately.calls),
    "errors": lambda row: row.rate(row.lately.errors),
    "latency": lambda row: row.p95 or 0,
    "bytes": lambda row: row.rate(row.lately.sent + row.lately.received),
    "total": lambda row: row.total.calls,
    "name": lambda row: 0,
}


def rows(window: Window, kind: str, sort: str, whole: bool, idle_ns: int = 0) -> list[Row]:
    """``whole``: rates are over all of the log, not of the last seconds."""
    totals = window.totals[kind]
    lately, seconds = (totals, window.span()) if whole else window.lately(kind, idle_ns)
    found = [
        Row(lately.rows.get(key) or Group(key), total, seconds)
        for key, total in totals.rows.items()
    ]
    key = SORTS[sort]
    return sorted(found, key=lambda row: (-key(row), -row.total.calls, row.total.key))


def _rate(value: float) -> str:
    if not value:
        return ""
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"


def state(window: Window) -> str:
    """A line about all of it."""
    parts = [counted(window.instances, "instance"), counted(window.records, "record")]
    if window.under_way:
        parts.append(f"{counted(window.under_way, 'request')} under way")
    if window.losses:
        parts.append(f"{window.losses.number} lost".replace("unknown", "some"))
    return ", ".join(parts)


def plain(window: Window, kind: str, sort: str) -> str:
    """The whole table as text."""
    found = rows(window, kind, sort, whole=True)
    head = " ".join(f"{name:>{width}}" for name, width in COLUMNS)
    lines = [f"{head}  {kind}"]
    for row in found:
        cells = zip(row.cells(), COLUMNS, strict=True)
        text = " ".join(f"{cell:>{width}}" for cell, (_, width) in cells)
        lines.append(f"{text}  {printable(row.total.key)}")
    return "\n".join(lines) + f"\n{state(window)}\n"

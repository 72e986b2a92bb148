"""The ``-c`` tables by peer and by route: what an operator asks first of a service."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from whamm_cm.render.options import RenderOptions
from whamm_cm.render.safe import printable
from whamm_cm.render.words import brief_bytes, brief_ns
from whamm_cm.trace.groups import Group, Grouped
from whamm_cm.trace.records import Record

Column: TypeAlias = tuple[str, int, Callable[[Group], str]]

_KEYS: dict[str, Callable[[Group], float]] = {
    "time": lambda row: -row.total_ns,
    "calls": lambda row: -row.calls,
    "errors": lambda row: -row.errors,
    "avg-time": lambda row: -row.total_ns / max(1, row.times.count),
    "max-time": lambda row: -(row.times.quantile(1) or 0),
    "wall-time": lambda row: -row.total_ns,
    "wait-time": lambda row: -row.total_ns,
    "name": lambda row: 0,
}


def _percentile(part: int) -> Column:
    return f"p{part}", 7, lambda row: brief_ns(row.times.quantile(part / 100))


def _count(value: int) -> str:
    return str(value) if value else ""


_LATENCY = tuple(_percentile(part) for part in (50, 95, 99))
_CLASSES: tuple[Column, ...] = (
    ("2xx", 6, lambda row: _count(row.of_class(2))),
    ("3xx", 6, lambda row: _count(row.of_class(3))),
    ("4xx", 6, lambda row: _count(row.of_class(4))),
    ("5xx", 6, lambda row: _count(row.of_class(5))),
)
_CALLS: Column = ("calls", 7, lambda row: str(row.calls))
_ERRORS: Column = ("errors", 6, lambda row: _count(row.errors))
#: Columns before the name, by kind.
TABLES: dict[str, tuple[Column, ...]] = {
    "peer": (
        _CALLS, _ERRORS, ("sent", 6, lambda row: brief_bytes(row.sent)),
        ("recv", 6, lambda row: brief_bytes(row.received)), *_LATENCY,
    ),
    "route": (_CALLS, _ERRORS, *_CLASSES, *_LATENCY),
}  # fmt: skip


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    grouped = Grouped(options.by)
    for record in records:
        grouped.feed(record)
    grouped.finish()
    yield table(grouped, options)


def table(grouped: Grouped, options: RenderOptions) -> str:
    """The table of what is finished."""
    key = _KEYS[options.sort]
    rows = sorted(grouped.groups.rows.values(), key=lambda row: (key(row), row.key))
    if not rows:
        nothing = {"peer": "it talked to nobody", "route": "nothing was asked of it"}[grouped.kind]
        return _lost(grouped) + f"{nothing}, as far as the log tells\n"
    names = [printable(row.key) for row in rows]
    columns, width = TABLES[grouped.kind], max(map(len, (*names, grouped.kind)))
    ends = [_outcomes(row) for row in rows]
    last = "outcomes" if any(ends) else ""
    lines = [_line([f"{name:>{wide}}" for name, wide, _ in columns], grouped.kind, width, last)]
    rules = ["-" * wide for _, wide, _ in columns]
    lines.append(_line(rules, "-" * width, width, "-" * len(last)))
    for row, name, end in zip(rows, names, ends, strict=True):
        lines.append(_line([f"{text(row):>{w}}" for _, w, text in columns], name, width, end))
    return "\n".join(lines) + "\n" + _lost(grouped)


def _line(cells: list[str], name: str, width: int, end: str) -> str:
    return f"{' '.join(cells)}  {name:{width}}  {end}".rstrip()


def _outcomes(row: Group) -> str:
    """``200 ×41, DNS-timeout ×1``, the most frequent first."""
    found = sorted(row.outcomes.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{printable(outcome)} ×{count}" for outcome, count in found[:4]]
    return ", ".join((*shown, "…") if len(found) > len(shown) else shown)


def _lost(grouped: Grouped) -> str:
    return printable(grouped.losses.sentence("the counts are too low")) + "\n" * bool(
        grouped.losses
    )

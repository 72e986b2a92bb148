"""The ``-c`` table: time, calls and errors per function, as strace prints it.

Times are self times: a call inside another counts once, so the column adds up to 100 %.  What was
waited while others could run is no time of anybody, and has columns of its own where there is any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from whamm_cm.errors import UsageError
from whamm_cm.render import grouped
from whamm_cm.render.options import SORTS, RenderOptions
from whamm_cm.render.safe import printable
from whamm_cm.render.words import brief_ns, counted
from whamm_cm.trace.records import Record
from whamm_cm.trace.summary import Summary, Totals

_KEYS: dict[str, Callable[[Totals], float]] = {
    "time": lambda row: -row.self_ns,
    "calls": lambda row: -row.calls,
    "errors": lambda row: -row.errors,
    "avg-time": lambda row: -row.average_ns,
    "max-time": lambda row: -row.max_ns,
    "wall-time": lambda row: -row.total_ns,
    "wait-time": lambda row: -row.wait_ns,
    "name": lambda row: 0,
}


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    """The table of a whole log; raises UsageError for an unknown ``options.sort``."""
    if options.by in grouped.TABLES:
        yield from grouped.render(records, options)
        return
    summary = Summary(options.per_instance, options.percentiles)
    for record in records:
        summary.feed(record)
    summary.finish()
    yield table(summary, options)


def table(summary: Summary, options: RenderOptions) -> str:
    """The table of a finished summary; raises UsageError for an unknown ``options.sort``."""
    if options.sort not in _KEYS:
        raise UsageError(f'cannot sort by "{options.sort}"; known: {", ".join(SORTS)}')
    key = _KEYS[options.sort]
    rows = sorted(
        summary.rows.values(), key=lambda row: (key(row), row.item, row.edge, row.instance)
    )
    labels = [_label(row) for row in rows]
    if not rows and summary.losses.unknown:
        return f"nothing is known of the calls; {printable(summary.losses.sentence())}\n"
    total = _total(rows)
    columns = _columns(total, rows)
    width = max(len(label) for label in (*labels, "function"))
    rule = " ".join("-" * wide for _, wide, _ in columns) + "  " + "-" * width
    lines = [" ".join(f"{name:>{wide}}" for name, wide, _ in columns) + "  function", rule]
    for row, label in zip((*rows, total), (*labels, "total"), strict=True):
        cells = [f"{text(row):>{wide}}" for _, wide, text in columns]
        lines += [*([rule] if row is total else []), f"{' '.join(cells)}  {label}"]
    if total.unfinished:
        lines.append(f"{counted(total.unfinished, 'call')} never returned")
    if total.pending:
        lines.append(f"{counted(total.pending, 'call')} still pending at the end")
    if summary.sample > 1:
        lines.append(
            f"one request in {summary.sample} is in here: there were about that many times as many"
            " calls; what is only counted is exact"
        )
    if summary.losses:
        lines.append(printable(summary.losses.sentence("the counts are too low")))
    return "\n".join(lines) + "\n"


def _percentile(part: int) -> Callable[[Totals], str]:
    def text(row: Totals) -> str:
        return "" if row.times is None else brief_ns(row.times.quantile(part / 100))

    return text


def _columns(
    total: Totals, rows: Sequence[Totals]
) -> list[tuple[str, int, Callable[[Totals], str]]]:
    """Name, width and text of each; those about waiting only where there is something to say."""
    all_ns = total.self_ns

    def seconds(ns: int) -> str:
        return f"{ns / 1e9:.6f}"

    columns: list[tuple[str, int, Callable[[Totals], str]]] = [
        ("% time", 6, lambda row: f"{100 * row.self_ns / all_ns if all_ns else 0.0:.2f}"),
        ("seconds", 11, lambda row: seconds(row.self_ns)),
    ]
    if total.wait_ns:
        columns.append(("wall", 11, lambda row: "" if row is total else seconds(row.total_ns)))
        columns.append(("waiting", 11, lambda row: seconds(row.wait_ns) if row.wait_ns else ""))
    if total.late:
        columns.append(("starting", 11, lambda row: seconds(row.starting_ns) if row.late else ""))

    def average(row: Totals) -> str:
        return f"{row.average_ns / 1000:.0f}" if row.timed and row is not total else ""

    if any(row.times is not None for row in rows):
        columns += [(f"p{part}", 8, _percentile(part)) for part in (50, 95, 99)]
    else:
        columns.append(("usecs/call", 11, average))
    return [
        *columns,
        ("calls", 9, lambda row: str(row.calls)),
        ("errors", 9, lambda row: str(row.errors) if row.errors else ""),
    ]


def _label(row: Totals) -> str:
    kind = f"{row.edge} " if row.edge in ("export", "inner") else ""
    whose = f"[{row.instance}] " if row.instance else ""
    return whose + printable(kind + row.item)


def _total(rows: Iterable[Totals]) -> Totals:
    total = Totals("", "")
    for row in rows:
        total.calls += row.calls
        total.errors += row.errors
        total.unfinished += row.unfinished
        total.pending += row.pending
        total.timed += row.timed
        total.self_ns += row.self_ns
        total.wait_ns += row.wait_ns
        total.late += row.late
        total.starting_ns += row.starting_ns
    return total

"""The ``-c`` table: time, calls and errors per function, as strace prints it.

Times are self times: a call inside another counts once, so the column adds up to 100 %.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from whamm_cm.errors import UsageError
from whamm_cm.render.options import SORTS, RenderOptions
from whamm_cm.render.safe import printable
from whamm_cm.render.words import counted
from whamm_cm.trace.records import Record
from whamm_cm.trace.summary import Summary, Totals

_HEAD = "% time     seconds  usecs/call     calls    errors  function"

_KEYS: dict[str, Callable[[Totals], float]] = {
    "time": lambda row: -row.self_ns,
    "calls": lambda row: -row.calls,
    "errors": lambda row: -row.errors,
    "avg-time": lambda row: -row.average_ns,
    "max-time": lambda row: -row.max_ns,
    "name": lambda row: 0,
}


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    """The table of a whole log; raises UsageError for an unknown ``options.sort``."""
    summary = Summary(options.per_instance)
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
    rule = "------ ----------- ----------- --------- ---------  " + "-" * max(
        len(label) for label in (*labels, "function")
    )
    if not rows and summary.losses.unknown:
        return f"nothing is known of the calls; {printable(summary.losses.sentence())}\n"
    total = _total(rows)
    lines = [_HEAD, rule]
    lines += [_line(row, label, total.self_ns) for row, label in zip(rows, labels, strict=True)]
    lines += [rule, _line(total, "total", total.self_ns)]
    if total.unfinished:
        lines.append(f"{counted(total.unfinished, 'call')} never returned")
    if total.pending:
        lines.append(f"{counted(total.pending, 'call')} still pending at the end")
    if summary.losses:
        lines.append(printable(summary.losses.sentence("the counts are too low")))
    return "\n".join(lines) + "\n"


def _line(row: Totals, label: str, all_ns: int) -> str:
    share = 100 * row.self_ns / all_ns if all_ns else 0.0
    average = f"{row.average_ns / 1000:.0f}" if row.timed and label != "total" else ""
    errors = str(row.errors) if row.errors else ""
    seconds = row.self_ns / 1e9
    return f"{share:6.2f} {seconds:11.6f} {average:>11} {row.calls:9} {errors:>9}  {label}"


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
    return total

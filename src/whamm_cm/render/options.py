"""What the user may choose about a rendering; each format reads what concerns it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from whamm_cm.dataclass import dataclass

if TYPE_CHECKING:
    from whamm_cm.analysis.lines import LineFinder

Stamps: TypeAlias = Literal["none", "start", "delta"]

#: What ``--by`` may be: rows of the summary, ``request`` for the log, ``line`` for tables.
BY = ("function", "peer", "route", "request", "line")
#: What ``top`` has rows of, and can sort by.
TOP_KINDS = ("function", "peer", "route", "path", "bucket")
TOP_SORTS = ("calls", "errors", "latency", "bytes", "total", "name")
#: What ``-c`` can be sorted by (``-S``).
SORTS = (*("time", "calls", "errors", "avg-time", "max-time", "wall-time", "wait-time", "name"),)


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """``stamps`` (``-t``, ``-r``): seconds since the first record, or since the line before;
    ``durations`` (``-T``), ``names`` (``-y``), ``max_string`` (``-s``), ``sort`` (``-S``).

    ``base_ns`` is the clock reading that counts as 0; None: that of the first record.  ``tags``:
    name the instance of each line from the start, not only when a second one appears.  ``lines``:
    what knows the source lines of places in core modules.
    ``per_instance``: results of each component instance by itself, not of all together.  ``each``
    (``-v``): reads and writes of streams that follow each other closely are not put together.
    ``by`` (``--by``): what the summary has rows of, or ``request``: the log is put together by
    request, of which only those are shown that took ``slow_ns`` or longer; or ``line``: tables add
    up what is counted in each line of the source, which needs ``lines``.  ``percentiles``: the
    summary by function has them.  ``width`` and ``colour``: those of the terminal, for pictures.
    ``app``: name and bytes of the component that the log is of, for the page.  ``picture``: what
    ``-f svg`` draws (``pictures.py``), "" for the first.  ``logs``: what the log is called.
    """

    stamps: Stamps = "none"
    durations: bool = False
    names: bool = False
    max_string: int = 32
    sort: str = "time"
    base_ns: int | None = None
    tags: bool = False
    lines: LineFinder | None = None
    per_instance: bool = False
    each: bool = False
    by: str = "function"
    slow_ns: int = 0
    percentiles: bool = False
    width: int = 80
    colour: bool = False
    app: tuple[str, bytes] | None = None
    picture: str = ""
    logs: tuple[str, ...] = ()

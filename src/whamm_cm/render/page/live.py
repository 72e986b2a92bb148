"""A page of a run that goes on: it shows the last records, and is told of them again and again.

A page is told everything it is to show, as one text, not what is new: so neither side has to keep
anything for the other, however slow a page is or how often it comes back.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from functools import cached_property
from pathlib import PurePath
from typing import Any

from whamm_cm._version import __version__
from whamm_cm.render.html import parts_of
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.page.bundle import packed, page
from whamm_cm.render.page.component import component_model
from whamm_cm.render.page.run import Sites, chunk, first_of
from whamm_cm.render.safe import printable
from whamm_cm.render.structure import Structure, structure_of
from whamm_cm.trace.records import Record
from whamm_cm.trace.session import Session
from whamm_cm.trace.timeline import base_of, times

#: Records that are kept for pages.
MOST = 10_000
#: Bytes of a text for a page; where it gets longer, fewer records are kept.
_LONGEST = 4 << 20
_FEWEST = 500
#: Bytes, roughly, of the values that are kept: what they say may be much shorter than they are.
HEAVIEST = 64 << 20
#: Phases that say more of a call, which is another's when it is no longer known.
_LATER = ("return", "resumed", "exit")
#: What is told of a run again, and not only what is new.
_KEPT_PHASES = ("start", "declared")


class LiveRun:
    """Feed it records on one thread, ask for :meth:`text` on another.  Memory is bounded: no more
    than ``most`` records are kept, and no more than weigh ``heaviest`` bytes."""

    def __init__(self, options: RenderOptions, most: int = MOST, heaviest: int = HEAVIEST) -> None:
        self._options, self._most, self._heaviest = options, most, heaviest
        self._records: deque[tuple[Record, int]] = deque()
        self._weight = 0
        self._kept: list[Record] = []
        #: Calls whose first record has been forgotten, while more of them may come.
        self._gone: dict[tuple[int, int], None] = {}
        self._lock = threading.Lock()
        self._sites = Sites()
        self._forgotten = 0
        #: Records that came so far.
        self.count = 0
        #: Why no more come, "" while the run goes on.
        self.ended = ""

    @cached_property
    def _structure(self) -> Structure | None:
        return structure_of(self._options.app)

    def feed(self, record: Record) -> None:
        with self._lock:
            self.count += 1
            phase = record["phase"]
            if phase in _KEPT_PHASES and len(self._kept) < _FEWEST:
                self._kept.append(record)
                return
            weight = _weight(record)
            self._records.append((record, weight))
            self._weight += weight
            while len(self._records) > (self._most if self._weight <= self._heaviest else 1):
                first, weight = self._records.popleft()
                self._weight -= weight
                self._forget(first)

    def _forget(self, record: Record) -> None:
        key = record.get("instance", 0), record.get("call", 0)
        if record["phase"] == "call":
            self._forgotten += 1
            self._gone[key] = None
            if len(self._gone) > self._most:
                del self._gone[next(iter(self._gone))]
        elif record["phase"] == "return" and not record.get("pending"):
            self._gone.pop(key, None)

    def _last(self) -> tuple[list[Record], int, int]:
        """What is kept, without what is left of calls that are not; how many calls went, and how
        many records came."""
        with self._lock:
            records = [*self._kept, *(record for record, _ in self._records)]
            gone = dict(self._gone)
            forgotten, count = self._forgotten, self.count
        return [one for one in records if not _is_of(one, gone)], forgotten, count

    def text(self) -> str:
        """What a page shows now: base64 of gzip of JSON: the parts of its model, ``chunk`` with
        all calls, and ``live``: ``{"records", "shown", "first": calls that went before, "ended"}``.
        """
        records, first, count = self._last()
        text = self._text(records, first, count)
        if len(text) > _LONGEST and self._most > _FEWEST:
            self._most = max(_FEWEST, self._most // 2)
        return text

    def _text(self, records: Iterable[Record], first: int, count: int) -> str:
        session = Session.build(records, self._options.per_instance)
        parts: dict[str, Any] = parts_of(session, self._sites, self._options, self._structure)
        base = first_of(session)
        waits = base_of(session) + base if session.timed else 0
        parts["chunk"] = chunk(times(session), 0, self._sites, base, waits)
        parts["live"] = {
            "records": count,
            "shown": session.records,
            "first": first,
            "ended": self.ended,
        }
        return packed(parts)

    @cached_property
    def page(self) -> str:
        """The page, before it is told anything."""
        app = self._options.app
        model: dict[str, Any] = {
            "v": 1,
            "kind": "live",
            "title": printable(PurePath(app[0]).name) if app else "a run",
            "by": f"whamm-cm {__version__}",
        }
        empty = parts_of(Session.build(()), Sites(), self._options, self._structure)
        model |= {key: part for key, part in empty.items() if part}
        if app:
            model["component"] = component_model(app[1], app[0])
        return "".join(page(model, (), live=True))


def _is_of(record: Record, gone: dict[tuple[int, int], None]) -> bool:
    if record["phase"] not in _LATER:
        return False
    return (record.get("instance", 0), record.get("call", 0)) in gone


def _weight(value: object) -> int:
    """Bytes that a value takes, roughly."""
    total, left = 0, [value]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            total += 64 + 96 * len(each)
            left += each.values()
        elif isinstance(each, list):
            total += 64 + 8 * len(each)
            left += each
        elif isinstance(each, str):
            total += 64 + len(each)
        else:
            total += 16
    return total

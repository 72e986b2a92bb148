"""Many reads or writes of one stream, close together, as one line.

The first is shown as any call is.  Those that begin within a millisecond of the end of the one
before are held back until something else is to be shown, and then told together.
"""

from __future__ import annotations

from collections.abc import Callable

from whamm_cm.dataclass import dataclass
from whamm_cm.trace.records import Record

#: How soon a copy has to begin after the end of the one before, in nanoseconds.
CLOSE_NS = 1_000_000
#: Streams that are watched at a time.
_MAX_STREAMS = 1024

#: Whose copies: instance, function, handle.
Key = tuple[int, str, int]


@dataclass(slots=True)
class Burst:
    """``copies`` that are over and not shown, of ``count`` elements in ``spent`` nanoseconds: how
    the line of the first begins, the elements it copied, and what became of the last."""

    last_ns: int
    copies: int = 0
    count: int = 0
    spent: int = 0
    head: str = ""
    data: str = ""
    how: str = ""

    def text(self) -> str:
        """The line, without its end."""
        shown = f" {self.data}" if self.data else ""
        if self.copies > 1 and shown and not shown.endswith("..."):
            shown += "..."
        times = "" if self.copies == 1 else f" ({self.copies} calls)"
        return f"{self.head} = {self.count}{shown}, {self.how}{times}"


class Bursts:
    """Those of a log."""

    def __init__(self, timed: Callable[[str, int | None], str]) -> None:
        """``timed`` puts a duration behind a line."""
        self._timed = timed
        self._streams: dict[Key, Burst] = {}

    def joins(self, key: Key, record: Record) -> bool:
        """Whether the copy that begins with this record follows closely on another."""
        burst, now = self._streams.get(key), record.get("t_ns")
        return burst is not None and now is not None and 0 <= now - burst.last_ns <= CLOSE_NS

    def over(self, key: Key, record: Record) -> Burst | None:
        """A copy is over; None where times are not known."""
        if "t_ns" not in record:
            return None
        burst = self._streams.get(key)
        if burst is None:
            if len(self._streams) >= _MAX_STREAMS:
                self._streams = {k: b for k, b in self._streams.items() if b.copies}
            burst = self._streams[key] = Burst(0)
        burst.last_ns = record["t_ns"]
        return burst

    @property
    def held(self) -> Burst | None:
        """One that is not shown yet."""
        return next((b for b in self._streams.values() if b.copies), None)

    def flush(self) -> str:
        """The lines of what was held back."""
        out = ""
        for key, burst in self._streams.items():
            if burst.copies:
                out += self._timed(burst.text(), burst.spent) + "\n"
                self._streams[key] = Burst(burst.last_ns)
        return out

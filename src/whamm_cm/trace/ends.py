"""What the ends of streams and futures stand for: as far as a log tells of all that they do.

Numbers of handles are used again.  Records say (``handles``) that an end comes into a component
(``new:stream``), leaves it (``gone:stream``) or is used there (``stream``), and say so only where
all such records are made.  So an end that is known here is that end, and one that is not has no
name: after a gap in a run nothing of that run is known any more.
"""

from __future__ import annotations

from typing import Any

from whamm_cm.dataclass import dataclass
from whamm_cm.trace.records import Record

KINDS = ("stream", "future")
#: What both ends are together.
_PAIRS = {"stream": "pipe", "future": "promise"}
#: What stands before a kind where the end comes or leaves.
NEW, GONE = "new:", "gone:"
#: Ends remembered at most; beyond it all are forgotten.
MAX_ENDS = 1 << 16
#: Of a built-in that makes both ends: the readable one is in the low half.
_LOW = 0xFFFFFFFF


@dataclass(slots=True, eq=False)
class End:
    """``peer``: the other end, while both are in the same component; of an end that has left, the
    one that stayed.  ``copies`` that are over moved ``count`` elements, bytes if ``is_bytes``.
    ``subject``: what it stands for to whoever follows it (``traffic.py``)."""

    kind: str
    number: int
    name: str | None = None
    peer: End | None = None
    copies: int = 0
    count: int = 0
    is_bytes: bool = False
    subject: object = None

    def copied(self, record: Record) -> None:
        """A read or write of it is over, as its return record says."""
        packed = record.get("result")
        if type(packed) is not int:
            return
        self.copies += 1
        self.count += packed >> 4 if self.kind == "stream" else not packed & 15
        data = record.get("data")
        self.is_bytes = isinstance(data, dict) and ("~b64" in data or "~redacted" in data)


_Key = tuple[str, int]


class Ends:
    """Those of all component instances."""

    def __init__(self) -> None:
        self._tables: dict[_Key, dict[int, End]] = {}
        self._next: dict[str, int] = {}
        self._count = 0

    def see(self, record: Record) -> None:
        """To be told of every record, in order: where one is missing, nothing is certain."""
        run, seq = record.get("run", ""), record.get("seq")
        if type(seq) is not int or self._next.get(run, seq) != seq or record["phase"] == "lost":
            self._forget(run)
        if type(seq) is int:
            self._next[run] = seq + 1
        if record.get("bad") or record.get("big"):
            self.lose(record)

    def find(self, record: Record, number: int) -> End | None:
        return self._tables.get(_key(record), {}).get(number)

    def begin(self, record: Record, kind: str, number: int, name: str | None = None) -> End:
        """The end has come into the component.

        Where its number is taken, it came, or the other left, some time before the record that
        says so, and nobody can tell which of them a later record means: it has no name.
        """
        if self._count >= MAX_ENDS:
            self._tables.clear()
            self._count = 0
        table = self._tables.setdefault(_key(record), {})
        before = table.get(number)
        self._count += before is None
        if before is not None and before.peer is not None:
            before.peer.peer = None
        end = table[number] = End(kind, number, name if before is None else None)
        return end

    def pair(self, record: Record, kind: str, packed: int) -> None:
        """Both ends were made, and have one name until one of them leaves."""
        name = f"{_PAIRS[kind]} {packed & _LOW}"
        low = self.begin(record, kind, packed & _LOW, name)
        high = self.begin(record, kind, packed >> 32, name)
        low.peer, high.peer = high, low
        alone = self._tables[_key(record)].get(~low.number)
        if alone is not None and alone.name == name:
            alone.name = None

    def end(self, record: Record, number: int) -> End | None:
        """The end leaves the component, or is dropped."""
        table = self._tables.get(_key(record), {})
        found = table.pop(number, None)
        self._count -= found is not None
        if found is not None and found.peer is not None:
            found.peer.peer = None
            # Whoever makes a pair of this number next finds the end that is called by it.
            self._count += ~number not in table
            table[~number] = found.peer
        return found

    def back(self, record: Record, end: End) -> None:
        """The end has not left: the call that was to take it was cancelled before it started."""
        table = self._tables.get(_key(record), {})
        if end.number in table:
            table[end.number].name = None
        elif end.peer is not None and table.get(end.peer.number) is end.peer:
            end.peer.peer, end.peer.name = end, end.name
            self._count += 1
            table[end.number] = end

    def lose(self, record: Record) -> None:
        """What the record says of handles cannot be seen."""
        self._count -= len(self._tables.pop(_key(record), ()))

    def _forget(self, run: str) -> None:
        for key in [key for key in self._tables if key[0] == run]:
            self._count -= len(self._tables.pop(key))


def _key(record: Record) -> _Key:
    return record.get("run", ""), record["instance"]


def is_hidden(value: Any, path: tuple[str, ...]) -> bool:
    """Whether something at ``path`` may not be in ``value``, for that was cut."""
    if isinstance(value, dict) and any(key in value for key in ("~cut", "~deep", "~bad")):
        return True
    if not path:
        return False
    step, rest = path[0], path[1:]
    if isinstance(value, list):
        if step == "*":
            return any(is_hidden(item, rest) for item in value)
        return step.isdigit() and int(step) < len(value) and is_hidden(value[int(step)], rest)
    return isinstance(value, dict) and step in value and is_hidden(value[step], rest)

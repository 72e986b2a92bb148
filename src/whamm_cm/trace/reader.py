"""Saved logs → records: JSON lines, or the logs of hosts with our lines among other text.

Everything is streamed; a log of any length takes the memory of its longest line.  gzip is noticed
by its first bytes.  Whatever stands in a log, it never makes the reader fail: what is no record but
looks like one is counted.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import InputError, unreadable
from whamm_cm.trace.hostkeys import HostKeys
from whamm_cm.trace.lines import LineDecoder
from whamm_cm.trace.logs.unwrap import DECODER, Line, Unwrapper
from whamm_cm.trace.order import Order
from whamm_cm.trace.records import Record as Record
from whamm_cm.trace.records import fault_of as fault_of

if TYPE_CHECKING:
    from whamm_cm.agent.table import SiteTable

#: What stands before a record of version 1 on a line of a host's log, and before lines of ours.
SENTINEL, MARK = "WCM1 ", "WCM2."

_MAX_LINE = 64 << 20
#: Sources and runs that are told apart at most, those longest silent being forgotten.
_MAX_SOURCES, _MAX_RUNS = 4096, 65536
_RUN = re.compile(r"WCM2\.[a-z2-7]{12} ([0-9a-f]{16})\.([0-9]+) ")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A record and what the log says about it: the ``source`` (file, pod, host), the ``key`` that
    the host put in front of the line, the ``time_ns`` of the line since 1970."""

    record: Record
    source: str = ""
    key: str = ""
    time_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Records that arrived together, on one line.  ``run``: the one they are all of, "" if that is
    not so simple; these records are nobody else's and may be changed."""

    records: list[Record]
    source: str = ""
    key: str = ""
    time_ns: int | None = None
    run: str = ""


@dataclass(frozen=True, slots=True)
class Weave:
    """What is known of the weave whose log is read.

    ``nonce``: the only one that counts, None for any.  ``table`` is what packed lines are decoded
    with; without it ``find`` is asked for that of a nonce.  ``lean``: packed records without the
    values that counting needs not.
    """

    nonce: str | None = None
    table: SiteTable | None = None
    find: Callable[[str], SiteTable | None] | None = None
    lean: bool = False


class RecordReader(Iterable[Record]):
    """Iterate once over the records of a log, or over its :meth:`arrivals`.

    ``label`` is a source to name where there are several logs.  Lines that look like records and
    are none are ``malformed``, as are a plain log's other lines; all that a host's log holds beside
    is passed over.  Raises InputError for a log with lines but without any record.
    """

    def __init__(
        self,
        lines: Iterable[str] | Iterable[bytes],
        name: str = "-",
        weave: Weave | None = None,
        label: str = "",
    ) -> None:
        self.name, self.label = name, label
        self.records = 0
        self.malformed = 0
        self.first_malformed = 0  # line number, 0 when there is none
        self.first_fault = ""
        self._order = Order()  # of the records that are lines of their own
        self._first_late = 0
        self.nonces: dict[str, None] = {}
        #: Weaves whose packed lines could not be decoded for want of the table.
        self.unknown: dict[str, None] = {}
        self._weave = weave or Weave()
        self._lines = lines
        self._line = 0
        self._plain: bool | None = None  # None until the first record tells
        self._wrapped = False
        self._suspect: tuple[int, str] | None = None  # an odd line before the first record
        self._looked = False  # that line looks like a record
        self._sources: OrderedDict[str, _Source] = OrderedDict()
        self._weak: dict[tuple[str, str], list[str]] = {}

    def __iter__(self) -> Iterator[Record]:
        for arrival in self.arrivals():
            yield arrival.record

    @property
    def missing(self) -> int:
        """When all is read: how many records should be there and are not, damaged ones included."""
        return max(self.malformed, self._order.missing)

    @property
    def bare(self) -> bool:
        """When all is read: whether there are records, all of them lines of their own, as
        ``trace -o`` writes them.  What a host wrote down of a guest's output may be its word."""
        return self._plain is True and not self._wrapped

    def arrivals(self) -> Iterator[Arrival]:
        for batch in self.batches():
            for record in batch.records:
                yield Arrival(record, batch.source, batch.key, batch.time_ns)

    def batches(self) -> Iterator[Batch]:
        """The same as they came, which is cheaper."""
        unwrapper = Unwrapper()
        for raw in self._readable():
            self._line += 1
            text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
            for line in unwrapper.feed(text):
                self._wrapped |= line.value is not None and line.text.strip() != text.strip()
                for batch in self._of_line(line, text.endswith("\n")):
                    self.records += len(batch.records)
                    yield batch
        for line in unwrapper.finish():
            for batch in self._of_line(line, True):
                self.records += len(batch.records)
                yield batch
        for name, source in self._sources.items():
            yield from self._finished(name, source)
        self._nothing_found()

    def _readable(self) -> Iterator[str | bytes]:
        """The lines, of gzip that is cut off as far as they go."""
        try:
            yield from _unpacked(self._lines, self.name)
        except _Torn as error:
            if not self.records:
                raise
            self._damaged(error.fault, self._line + 1)

    def warnings(self) -> list[str]:
        """Sentences for the user about what could not be read."""
        found = []
        if self.malformed:
            noun = "record" if self.malformed == 1 else "records"
            found.append(
                f"{self.name}: {self.malformed} {noun} cut or damaged, first on line "
                f"{self.first_malformed} ({self.first_fault})"
            )
        if late := self._order.late:
            verb = "record stands" if late == 1 else "records stand"
            found.append(
                f"{self.name}: {late} {verb} here twice or behind later ones, first on line"
                f" {self._first_late}: calls and requests may be told wrongly, or twice"
                " (remedy: a log as it was written)"
            )
        for nonce in self.unknown:
            found.append(
                f"{self.name}: lines of the weave {nonce} are packed and their site table is not"
                " here; name the woven component with --woven FILE"
            )
        return found

    def _finished(self, name: str, source: _Source) -> Iterator[Batch]:
        yield Batch(source.lines.finish(), name)
        self._count(source)

    def _nothing_found(self) -> None:
        if self._plain is not None or self.records or self.unknown or self._suspect is None:
            return
        line, fault = self._suspect
        if self._looked:  # a record, but for its shape
            self._damaged(fault, line)
            return
        raise InputError(
            f"{self.name}:{line}: {fault}; none of {self._line} lines is a record or has one "
            f'behind "{SENTINEL}" or "{MARK}"'
        )

    def _of_line(self, line: Line, complete: bool) -> Iterator[Batch]:
        if line.value is not None:
            yield from self._object_line(line)
            return
        text = line.text
        if not text.strip():
            return
        if MARK in text and (yield from self._marked(line)):
            return
        bare = text.lstrip().startswith("{")
        if SENTINEL in text and not (bare and self._plain):
            yield from self._sentinels(line)
            return
        source = self._sources.get(line.source)
        if source is not None and source.keys.seen:
            source.keys.feed(text, None)
        if bare and not complete and self._plain is None:
            self._damaged("cut short")
        else:
            self._odd("not JSON" if bare else "not a record (a line of JSON)")

    def _object_line(self, line: Line) -> Iterator[Batch]:
        """A bare object: a record of a plain log, or a host's own."""
        record = line.value or {}
        fault = fault_of(record)
        self._looked = self._looked or self._suspect is None and "phase" in record
        if self._weave.nonce is not None:
            fault = fault or f"without the nonce {self._weave.nonce}"
        if fault:
            self._odd(fault)
            return
        if self._plain is None:
            self._plain = True
            if self._suspect is not None:
                self._damaged(self._suspect[1], self._suspect[0])
        if self._plain:
            if not self._order.feed(record):
                self._first_late = self._first_late or self._line
            yield Batch([record], self._named(record.get("source", ""), line.source))

    def _named(self, *parts: str) -> str:
        found = [part for part in parts if part]
        if self.label and (not found or not found[0].startswith(self.label)):
            found.insert(0, self.label)
        return " ".join(found)

    def _source(self, name: str) -> _Source:
        found = self._sources.get(name)
        if found is None:
            weave = self._weave
            lines = LineDecoder(weave.nonce, weave.table, weave.find, weave.lean)
            found = self._sources[name] = _Source(lines)
            if len(self._sources) > _MAX_SOURCES:
                self._count(self._sources.popitem(last=False)[1])
        else:
            self._sources.move_to_end(name)
        return found

    def _marked(self, line: Line) -> Generator[Batch, None, bool]:
        """Lines of version 2; answers whether there are any."""
        name = self._named(line.source, self._weak_of(line))
        source = self._source(name)
        found = source.lines.feed(line.text.encode("utf-8", "surrogatepass"))
        self._count(source)
        if not found.ours:
            return False
        self._plain = False
        # What is packed has the shapes of its types; JSON may be anything.
        records = found.records
        if "{" in line.text:
            records = []
            for record in found.records:
                fault = fault_of(record)
                if fault:
                    self._damaged(fault)
                else:
                    records.append(record)
        run = records[0].get("run", "") if records and line.text.count(MARK) == 1 else ""
        yield Batch(records, name, "", line.time_ns, run)
        return True

    def _weak_of(self, line: Line) -> str:
        """What a source may be called that is not certain: a run stays with how it began."""
        match = _RUN.search(line.text)
        if match is None:
            return ""
        key = line.source, match[1]
        known = self._weak.get(key)
        if known is None:
            if len(self._weak) >= _MAX_RUNS:
                del self._weak[next(iter(self._weak))]
            known = self._weak[key] = [line.weak]
        elif line.weak not in known:
            if match[2] != "0":
                return known[-1]
            known.append(line.weak)
        return line.weak

    def _count(self, source: _Source) -> None:
        lines = source.lines
        self.nonces.update(lines.nonces)
        self.unknown.update(lines.unknown)
        if lines.damaged > source.damaged:
            self._damaged("a line was cut or altered", count=lines.damaged - source.damaged)
            source.damaged = lines.damaged

    def _sentinels(self, line: Line) -> Iterator[Batch]:
        """Records of version 1; what stands around them on the line is the host's."""
        text = line.text
        if self._weave.nonce is not None:  # nothing of ours has been written so
            return
        name = self._named(line.source, line.weak)
        keys = self._source(name).keys
        at, behind = text.find(SENTINEL), 0
        while at >= 0:
            start = end = at + len(SENTINEL)
            if text.startswith("{", start):
                record, end, fault = _record_at(text, start)
                if fault:
                    self._damaged(fault)
                else:
                    self._plain = False
                    key = keys.feed(text[behind:at], record)
                    yield Batch([record], name, key, line.time_ns)
                behind = end
            at = text.find(SENTINEL, end)

    def _damaged(self, fault: str, line: int = 0, count: int = 1) -> None:
        self.malformed += count
        if not self.first_malformed or line and line < self.first_malformed:
            self.first_malformed, self.first_fault = line or self._line, fault

    def _odd(self, fault: str) -> None:
        """A line without a record: damage in a plain log, the host's own text in others."""
        if self._plain:
            self._damaged(fault)
        self._suspect = self._suspect or (self._line, fault)


@dataclass(slots=True)
class _Source:
    """What is remembered of one source: its runs, and the keys its host puts before lines."""

    lines: LineDecoder
    keys: HostKeys
    damaged: int = 0

    def __init__(self, lines: LineDecoder) -> None:
        self.lines, self.keys, self.damaged = lines, HostKeys(), 0


def _record_at(text: str, start: int) -> tuple[Record, int, str]:
    """The record that begins there, where it ends, and why it is none."""
    try:
        value, end = DECODER.raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        return {}, start, f"not JSON: {error}"
    return value, end, fault_of(value)


@contextmanager
def open_log(path: Path, weave: Weave | None = None, label: str = "") -> Iterator[RecordReader]:
    """The reader of a file; raises InputError if it cannot be opened or read."""
    try:
        with path.open("rb") as file:
            yield RecordReader(file, str(path), weave, label)
    except OSError as error:
        raise unreadable(str(path), error) from error


class _Torn(InputError):
    """The gzip data end in the middle."""

    fault = "damaged gzip data: it is cut off there"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name}: {self.fault}")


def _unpacked(lines: Iterable[str] | Iterable[bytes], name: str) -> Iterator[str | bytes]:
    if not isinstance(lines, io.IOBase):
        yield from lines
        return
    stream: IO[Any] = lines  # type: ignore[assignment]
    if not isinstance(lines, io.TextIOBase):
        stream = _plain_bytes(stream)
    try:
        line: str | bytes
        number = 0
        while line := stream.readline(_MAX_LINE):
            number += 1
            if len(line) == _MAX_LINE:
                raise InputError(
                    f"{name}:{number}: a line of more than {_MAX_LINE >> 20} MiB, "
                    "which no log of records has"
                )
            yield line
    except EOFError as error:
        raise _Torn(name) from error
    except (zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{name}: damaged gzip data: {error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not UTF-8 text: {error.reason}") from error


def _plain_bytes(stream: IO[bytes]) -> IO[bytes]:
    buffered = stream if isinstance(stream, io.BufferedReader) else None
    if buffered is None and isinstance(stream, io.BytesIO):
        buffered = io.BufferedReader(stream)
    if buffered is not None and buffered.peek(2)[:2] == b"\x1f\x8b":
        return cast(IO[bytes], gzip.open(buffered, "rb"))
    return stream if buffered is None else buffered

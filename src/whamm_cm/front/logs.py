"""Saved logs: the records of all of them, as if one had written them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import InputError
from whamm_cm.trace.identity import Identity
from whamm_cm.trace.losses import Ends
from whamm_cm.trace.reader import RecordReader, Weave, open_log

if TYPE_CHECKING:
    from whamm_cm.trace.records import Record


@dataclass(frozen=True, slots=True)
class Log:
    """``name`` for messages and, of several logs, as the source; without a ``file``, or ``lines``
    as they come, it is a path."""

    name: str
    file: BinaryIO | None = None
    label: str = ""
    lines: Iterable[bytes] | None = None


@dataclass(frozen=True, slots=True)
class Logs:
    """Iterate over the records; ``warn`` gets sentences about what could not be read.

    Instances are numbered over all logs, times have one base, and what is missing is said by
    records of phase ``lost``.  Raises InputError for a log that cannot be opened, or that has lines
    and no record among them.
    """

    logs: Sequence[Log]
    weave: Weave
    warn: Callable[[str], None]
    #: Told of each log when it is read.
    ended: Callable[[RecordReader], object] = lambda _: None

    def __iter__(self) -> Iterator[Record]:
        for records in self._batches():
            yield from records

    def _batches(self) -> Iterator[list[Record]]:
        identity, ends = Identity(), Ends()
        found, vouched = 0, True
        for log in self.logs:
            with ExitStack() as stack:
                reader = self._opened(stack, log, len(self.logs) > 1)
                for batch in reader.batches():
                    records = identity.feed_all(batch)
                    for part in (records,) if batch.run else [[record] for record in records]:
                        ends.feed(part)
                    yield records
                if reader.missing:
                    yield [_missing(reader)]
                self.ended(reader)
                found += reader.records
                vouched = vouched and (self.weave.nonce is not None or not reader.nonces)
                for warning in reader.warnings():
                    self.warn(warning)
        yield list(ends.finish())
        for note in identity.notes():
            self.warn(note)
        if not vouched:
            self.warn(
                "nobody vouches for these records: whoever could write to the log could forge them;"
                " --woven FILE takes only those of that component"
            )
        if not found:
            self.warn("no records found")

    def _opened(self, stack: ExitStack, log: Log, several: bool) -> RecordReader:
        label = (log.label or log.name) if several else ""
        if log.lines is not None:
            return RecordReader(log.lines, log.name, self.weave, label)
        if log.file is not None:
            return RecordReader(log.file, log.name, self.weave, label)
        if not log.name:
            raise InputError("the name of the input file is empty")
        return stack.enter_context(open_log(Path(log.name), self.weave, label))


def _missing(reader: RecordReader) -> Record:
    lost: Record = {"v": 2, "phase": "lost", "lost": reader.missing, "why": "line"}
    return {**lost, **({"source": reader.label} if reader.label else {})}

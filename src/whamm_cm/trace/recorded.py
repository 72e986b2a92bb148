"""Recordings as they are read: what each instance was called with, and what it called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import field
from pathlib import Path

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import InputError
from whamm_cm.trace.reader import RecordReader, open_log
from whamm_cm.trace.recording import VERSION
from whamm_cm.trace.records import Record


@dataclass(slots=True)
class Call:
    """``answer`` None: it did not return."""

    record: Record
    answer: Record | None = None


@dataclass(slots=True)
class Lived:
    """One instance, in order: the calls of its exports, and those it made.  ``others``: the records
    of built-ins, by which the contents of streams and futures are known; ``seq`` says where in the
    run they stand."""

    entered: list[Call] = field(default_factory=list)
    made: list[Call] = field(default_factory=list)
    others: list[Record] = field(default_factory=list)


@dataclass(slots=True)
class Recording:
    """``end`` None: it is cut off.  ``warnings``: sentences about what could not be read."""

    head: Record
    lives: list[Lived]
    end: Record | None
    warnings: list[str]

    @property
    def sha256(self) -> str:
        """The digest of the component."""
        return self._app("sha256")

    @property
    def file(self) -> str:
        """Where the component was, "" if that is not known."""
        return self._app("file")

    def _app(self, key: str) -> str:
        app = self.head.get("app")
        return str(app.get(key, "")) if isinstance(app, dict) else ""


def read_recording(path: str) -> Recording:
    """Raises InputError for what cannot be read, or is no recording."""
    with ExitStack() as stack:
        reader: RecordReader = stack.enter_context(open_log(Path(path)))
        records = iter(reader)
        head = next(records, None)
        if head is None or head["phase"] != "recording":
            raise InputError(f"{path} is no recording: make one with `whamm-cm trace --record`")
        if head["recording"] != VERSION:
            raise InputError(f"{path} was recorded by a newer whamm-cm: use that one")
        found = _told(head, records)
        found.warnings.extend(reader.warnings())
    return found


def _told(head: Record, records: Iterator[Record]) -> Recording:
    lives: dict[int, Lived] = {}
    found = Recording(head, [], None, [])
    open_: dict[tuple[int, int], Call] = {}
    for record in records:
        if record["phase"] == "end":
            found.end = record
        if record["phase"] not in ("call", "return"):
            continue
        key = record["instance"], record["call"]
        if record["phase"] == "return":
            if key in open_:
                open_.pop(key).answer = record
            continue
        life = lives.setdefault(record["instance"], Lived())
        call = open_[key] = Call(record)
        (life.entered if record.get("edge") == "export" else life.made).append(call)
    found.lives.extend(lives.values())
    return found

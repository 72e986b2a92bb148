"""Recordings as they are read: what each instance was called with, and what it called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import field
from pathlib import Path
from sys import intern
from typing import Any

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import InputError
from whamm_cm.trace.reader import RecordReader, Weave, open_log
from whamm_cm.trace.recording import VERSION
from whamm_cm.trace.records import Record
from whamm_cm.trace.tables import table_for

#: What has become of a value that is not whole.
_CUT = ("~cut", "~bad", "~redacted", "~deep")

#: Of calls and returns: what nobody asks for, and what is the same in many.
_UNASKED = frozenset(("v", "run", "t_ns", "dur_ns", "instance", "edge", "handles"))
_NAMES = ("phase", "interface", "version", "func")


@dataclass(slots=True)
class Call:
    """``answer`` None: it did not return."""

    record: Record
    answer: Record | None = None


@dataclass(slots=True)
class Lived:
    """One instance, in order: the calls of its exports, and those it made.  ``others``: the records
    of built-ins, by which the contents of streams and futures are known; ``seq`` says where in the
    run they stand.  ``stopped``: so many seconds after its last record it was stopped from the
    outside, None: it was not."""

    entered: list[Call] = field(default_factory=list)
    made: list[Call] = field(default_factory=list)
    others: list[Record] = field(default_factory=list)
    stopped: float | None = None
    last_ns: int = 0


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


def read_recording(path: str, weave: Weave | None = None) -> Recording:
    """What ``trace --record`` wrote, or the log of what ``instrument --record`` made; ``weave``:
    what is known of that.  Raises InputError for what cannot be read, or is no recording."""
    weave = weave or Weave(find=table_for)
    with ExitStack() as stack:
        reader: RecordReader = stack.enter_context(open_log(Path(path), weave))
        records = iter(reader)
        head = next(records, None)
        if head is None and reader.unknown:
            raise InputError(
                f"{path} cannot be read: the woven component that wrote it is not known on this"
                " machine; name it with --woven FILE"
            )
        if head is None or head["phase"] != "recording":
            raise InputError(
                f"{path} is no recording: make one with `whamm-cm trace --record`, or on another"
                " host by a component from `whamm-cm instrument --record`"
            )
        if head["recording"] != VERSION:
            raise InputError(f"{path} was recorded by a newer whamm-cm: use that one")
        found = _told(head, records)
        found.warnings.extend(reader.warnings())
    return found


def _told(head: Record, records: Iterator[Record]) -> Recording:
    lives: dict[tuple[str, int], Lived] = {}
    ends: dict[str, Record] = {}
    last, phase, found = "", "", Recording(head, [], None, [])
    open_: dict[tuple[str, int, int], Call] = {}
    for record in records:
        phase = record["phase"]
        if phase == "lost":
            found.warnings.append(
                f"{record.get('lost')} records of it are lost; only what was before can be used"
            )
            break
        if phase == "end":
            _end(record, lives, ends)
        if phase not in ("call", "return", "exit", "handle"):
            continue
        last = record.get("run", "")
        ends.pop(last, None)  # it was the end of what had come by then
        life = lives.setdefault((last, record["instance"]), Lived())
        if record.get("edge") not in ("export", "import"):
            life.others.append(record)
        elif phase in ("call", "return"):
            _check(record)
            _paired(life, record, open_)
    found.end = ends.get(last) if phase != "lost" else None
    found.lives.extend(lives.values())
    return found


def _end(record: Record, lives: dict[tuple[str, int], Lived], ends: dict[str, Record]) -> None:
    """Of a run, or of an instance that was stopped."""
    run = record.get("run", "")
    if not record.get("stopped"):
        ends[run] = record
    elif life := lives.get((run, record["instance"])):
        life.stopped = max(0, record.get("t_ns", 0) - life.last_ns) / 1e9


def _kept(record: Record) -> Record:
    """What a replay may ask for, in the memory of no more than that: texts that come in each record
    are there once."""
    found = {intern(key): value for key, value in record.items() if key not in _UNASKED}
    for key in _NAMES:
        if key in found:
            found[key] = intern(found[key])
    return found


def _paired(life: Lived, record: Record, open_: dict[tuple[str, int, int], Call]) -> None:
    """Takes a call, or what it returned."""
    key = record.get("run", ""), record["instance"], record["call"]
    life.last_ns = record.get("t_ns", life.last_ns)
    if record["phase"] == "call":
        call = open_[key] = Call(_kept(record))
        (life.entered if record["edge"] == "export" else life.made).append(call)
    elif key in open_ and "pending" not in record:
        open_.pop(key).answer = _kept(record)


def _check(record: Record) -> None:
    """Raises InputError for values that are not whole."""
    values = [record.get("args"), record.get("result")]
    if "big" in record or "bad" in record or any(map(_is_cut, values)):
        raise InputError(
            f"call {record['call']} of the recording ({record['func']}) has a value that is not"
            " whole, which cannot be replayed: of what may hold secrets, 16 KiB are recorded"
            " (--secrets keep records all)"
        )


def _is_cut(value: Any) -> bool:
    if isinstance(value, dict):
        return any(key in value for key in _CUT) or any(map(_is_cut, value.values()))
    return isinstance(value, list) and any(map(_is_cut, value))

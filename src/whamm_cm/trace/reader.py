"""Saved logs → records: JSON lines, or host logs with ``WCM1 `` lines among other text.

Everything is streamed; a log of any length takes the memory of its longest line.  gzip is noticed
by its first bytes.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias, cast

from whamm_cm.errors import InputError, unreadable

#: One record as in "Record as JSON": the keys of a JSON object, unknown ones kept.
Record: TypeAlias = dict[str, Any]

#: What stands before a record on a line of a host's log.
SENTINEL = "WCM1 "

#: Record formats this reader knows (``"v"``).
VERSIONS = (1, 2)

_MAX_LINE = 64 << 20

_PHASES = ("call", "return", "report", "dropped", "print", "start", "end", "lost")
_INTS = ("seq", "t_ns", "instance", "call", "self", "status", "count", "dur_ns", "fid", "pc")
_TEXTS = (
    *("edge", "component", "interface", "version", "func"),
    *("script", "var", "probe", "module", "fname", "type"),
)
_NEEDED = {
    "call": ("func", "call"),
    "return": ("func", "call"),
    "report": ("count",),
    "dropped": ("count",),
    "print": ("text",),
    "start": (),
    "end": (),
    "lost": ("lost",),
}
_NEEDED_OF_VARIABLE = ("type",)


class RecordReader(Iterable[Record]):
    """Iterate once over the records of a log.

    In a host log (sentinel lines) a record the host cut is counted in ``malformed``, and so is a
    plain log's last line when it stops in the middle.  Raises InputError with ``name`` and the
    line number for any other line of a plain log that is no record.
    """

    def __init__(self, lines: Iterable[str] | Iterable[bytes], name: str = "-") -> None:
        self.name = name
        self.records = 0
        self.malformed = 0
        self.first_malformed = 0  # line number, 0 when there is none
        self._lines = lines
        self._line = 0
        self._plain: bool | None = None  # None until the first record tells
        self._suspect: InputError | None = None  # an odd line before the first record

    def __iter__(self) -> Iterator[Record]:
        for raw in _unpacked(self._lines, self.name):
            self._line += 1
            text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
            for record in self._of_line(text):
                self.records += 1
                yield record
        if self._suspect is not None and self._plain is None and not self.malformed:
            raise InputError(
                f"{self._suspect}; none of {self._line} lines is a record or has one behind "
                f'"{SENTINEL}"'
            )

    def warning(self) -> str | None:
        """A sentence for the user about what could not be read, None if all is well."""
        if not self.malformed:
            return None
        noun = "record" if self.malformed == 1 else "records"
        return f"{self.name}: {self.malformed} {noun} cut or damaged, first on line " + str(
            self.first_malformed
        )

    def _of_line(self, text: str) -> list[Record]:
        stripped = text.strip()
        if not stripped:
            return []
        if stripped.startswith("{"):
            return self._object_line(stripped, text.endswith("\n"))
        if SENTINEL in text:
            return self._sentinels(text)
        self._odd("not a record (a line of JSON)")
        return []

    def _object_line(self, text: str, complete: bool) -> list[Record]:
        """A line that is an object: a record, or a log collector's envelope around the line."""
        try:
            value = _parse(text)
        except ValueError as error:
            if SENTINEL in text and self._plain is not True:
                return self._sentinels(text)
            if not complete and self._plain is not False:
                self._damaged()
            else:
                self._odd(f"not JSON: {error}")
            return []
        if "phase" not in value and self._plain is not True:
            found = [v for v in value.values() if isinstance(v, str) and SENTINEL in v]
            if found:
                return [record for line in found for record in self._sentinels(line)]
        fault = self._fault(value)
        if fault:
            self._odd(fault)
            return []
        if self._plain is None:
            self._plain = True
            if self._suspect is not None:
                raise self._suspect
        return [value] if self._plain else []

    def _sentinels(self, text: str) -> list[Record]:
        """Records behind sentinels; what stands around them on the line is the host's."""
        found: list[Record] = []
        at = text.find(SENTINEL)
        while at >= 0:
            start = at + len(SENTINEL)
            end = start
            if text.startswith("{", start):
                try:
                    value, end = _DECODER.raw_decode(text, start)
                    good = not self._fault(value)
                except (ValueError, RecursionError):
                    good = False
                if good:
                    self._plain = False
                    found.append(value)
                else:
                    self._damaged()
            at = text.find(SENTINEL, end)
        return found

    def _fault(self, value: Record) -> str:
        if value.get("v", 1) not in VERSIONS and value.get("phase") in _PHASES:
            raise InputError(
                f"{self.name}:{self._line}: record format {value['v']!r} is not known; "
                "read this log with a newer whamm-cm"
            )
        return fault_of(value)

    def _damaged(self) -> None:
        self.malformed += 1
        self.first_malformed = self.first_malformed or self._line

    def _odd(self, fault: str) -> None:
        """A line without a record: an error in a plain log, the host's own text in others."""
        error = InputError(f"{self.name}:{self._line}: {fault}")
        if self._plain:
            raise error
        self._suspect = self._suspect or error


def fault_of(value: Record) -> str:
    """Why ``value`` is no record, "" if it is one. Unknown keys are no fault."""
    phase = value.get("phase")
    if phase not in _PHASES:
        return 'not a record: no "phase" of call, return, report, dropped or print'
    for key in _INTS:
        number = value.get(key, 0)
        if type(number) is not int or not 0 <= number < 1 << 64:
            return f'"{key}" is not an integer of 64 bits'
    for key in _TEXTS:
        if key in value and not isinstance(value[key], str):
            return f'"{key}" is not a string'
    if not isinstance(value.get("args", {}), dict):
        return '"args" is not an object'
    needed = _NEEDED_OF_VARIABLE if phase == "report" and "var" in value else _NEEDED[phase]
    if phase not in ("start", "end"):
        needed = (*needed, "instance")
    missing = [key for key in needed if key not in value]
    return f'"{missing[0]}" is missing' if missing else ""


@contextmanager
def open_log(path: Path) -> Iterator[RecordReader]:
    """The reader of a file; raises InputError if it cannot be opened or read."""
    try:
        with path.open("rb") as file:
            yield RecordReader(file, str(path))
    except OSError as error:
        raise unreadable(str(path), error) from error


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _parse(text: str) -> Record:
    try:
        value: Record = _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


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
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
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

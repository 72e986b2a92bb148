"""The recorded calls of one instance, found again by function and arguments.

Calls of one resource are looked for behind the last one of it that was found, then before; calls
without a resource in their order.  What a guest writes is one text for each stream, however it is
cut into calls.
"""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import field
from typing import Any

from whamm_cm.dataclass import dataclass
from whamm_cm.trace.readings import Readings
from whamm_cm.trace.recorded import Call
from whamm_cm.trace.records import Record

_STREAMS, _POLL = "wasi:io/streams", "wasi:io/poll"
#: Functions of streams that write, and those that only have to do with it.
WRITES = {
    f"output-stream.{name}": argument
    for name, argument in (
        ("write", "contents"),
        ("blocking-write-and-flush", "contents"),
        ("write-zeroes", "len"),
        ("blocking-write-zeroes-and-flush", "len"),
    )
}
BESIDE = frozenset(f"output-stream.{name}" for name in ("check-write", "flush", "blocking-flush"))


def waits(interface: str, func: str) -> bool:
    """Whether a call only waits, or makes what one waits for: builds differ in how they do."""
    return interface == _POLL or func.rpartition(".")[2].startswith("subscribe")


def is_drop(func: str) -> bool:
    return func.endswith(".drop")


@dataclass(slots=True, eq=False)
class Written:
    """What went into a stream: ``then`` when it was recorded, and ``now``; ``of``: the function
    that gave the stream."""

    of: str = ""
    then: bytearray = field(default_factory=bytearray)
    now: bytearray = field(default_factory=bytearray)


def unpacked(value: Record) -> bytes:
    return base64.b64decode(value["~b64"])


def contents(func: str, args: Record) -> bytes:
    """What one of :data:`WRITES` writes."""
    value = args[WRITES[func]]
    return unpacked(value) if isinstance(value, dict) else bytes(int(value))


@dataclass(frozen=True, slots=True)
class Found:
    """``moved``: it was recorded before another call of its resource that was made already."""

    call: Call
    moved: bool = False


class Matching:
    """``streams``: of output streams by number, as far as no write to one failed; ``ready``:
    numbers of pollables that have been ready."""

    def __init__(self, made: Iterable[Call]) -> None:
        self._calls = [*made]
        self._used = bytearray(len(self._calls))
        self._at: dict[str, deque[int]] = {}
        self._last: dict[int, int] = {}
        self.streams: dict[int, Written] = {}
        self._failing: set[int] = set()
        self.ready: set[int] = set()
        self._read_streams()
        self._readings = Readings(self._calls, self._take)
        for number, call in enumerate(self._calls):
            if self._is_written(call.record):
                self._used[number] = True
                continue
            self._at.setdefault(_key(call.record), deque()).append(number)
            self._note_ready(call)

    def take(self, record: Record) -> Found | None:
        """The recorded call that is this one; it is there once."""
        left = self._at.get(_key(record))
        if not left or self._readings.left(record):
            return None
        last = self._last.get(record.get("self", 0), -1)
        number = next((number for number in left if number > last), left[0])
        self._take(number)
        self._readings.used(number)
        if "self" in record:
            self._last[record["self"]] = max(last, number)
        return Found(self._calls[number], "self" in record and number < last)

    def read(self, record: Record) -> Any:
        """The result of reading what was read in other pieces, None where that is not known."""
        return self._readings.result(record)

    def _take(self, number: int) -> None:
        if not self._used[number]:
            self._used[number] = True
            self._at[_key(self._calls[number].record)].remove(number)

    def stream(self, number: int) -> Written | None:
        """What went into an output stream, None where writes to it failed: those are matched call
        by call."""
        if number in self._failing:
            return None
        return self.streams.setdefault(number, Written())

    def near(self, record: Record) -> Record | None:
        """A recorded call of that function that is left: of the same resource, if there is one."""
        left = [
            call.record
            for call, used in zip(self._calls, self._used, strict=True)
            if not used and all(call.record.get(k) == record.get(k) for k in ("interface", "func"))
        ]
        same = (one for one in left if one.get("self") == record.get("self"))
        return next(same, left[0] if left else None)

    def unused(self) -> Iterator[Record]:
        """What was not asked for, but for drops and waiting."""
        for call, used in zip(self._calls, self._used, strict=True):
            interface, func = call.record.get("interface", ""), call.record["func"]
            if not used and not is_drop(func) and not waits(interface, func):
                yield call.record

    def unfinished(self) -> Record | None:
        """The call that did not return, if there was one."""
        return next((one.record for one in reversed(self._calls) if one.answer is None), None)

    def _read_streams(self) -> None:
        for call in self._calls:
            record = call.record
            func = record["func"]
            if call.answer is not None and "moved" in call.answer:
                spliced = self.stream(record["self"])
                if spliced is not None:
                    spliced.then += unpacked(call.answer["moved"])
            if record.get("interface") != _STREAMS or func not in WRITES and func not in BESIDE:
                continue
            result = {} if call.answer is None else call.answer.get("result", {})
            if "ok" not in result:
                self._failing.add(record["self"])
                self.streams.pop(record["self"], None)
            elif stream := self.stream(record["self"]):
                stream.then += contents(func, record["args"]) if func in WRITES else b""

    def _is_written(self, record: Record) -> bool:
        func = record["func"]
        known = record.get("interface") == _STREAMS and record.get("self") in self.streams
        return known and (func in WRITES or func in BESIDE)

    def _note_ready(self, call: Call) -> None:
        record, answer = call.record, call.answer or {}
        if record.get("interface") != _POLL or not call.answer:
            return
        if record["func"] == "poll":
            (waited,) = record["args"].values()
            self.ready.update(waited[index] for index in answer["result"])
        elif record["func"] == "pollable.block" or answer.get("result") is True:
            self.ready.add(record["self"])


def _key(record: Record) -> str:
    if is_drop(record["func"]):  # whatever interface the resource comes by
        return f"drop {record['self']}"
    parts: list[Any] = [record.get(name) for name in ("interface", "func", "self", "args")]
    return json.dumps(parts, sort_keys=True)

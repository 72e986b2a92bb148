"""What a guest read when it was recorded, for one that reads it in other pieces."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from whamm_cm.trace.recorded import Call
from whamm_cm.trace.records import Record

_STREAM = ("input-stream.read", "input-stream.blocking-read")


class Readings:
    """Of streams, piece by piece in their order; of files that are read at an offset, anywhere.
    ``taken`` is told which of the ``calls`` has been used."""

    def __init__(self, calls: Sequence[Call], taken: Callable[[int], None]) -> None:
        self._calls, self._taken = calls, taken
        self._streams: dict[int, deque[int]] = {}
        self._left: dict[int, bytes] = {}
        self._last: dict[int, Any] = {}
        self._files: dict[int, list[int]] = {}
        for number, call in enumerate(calls):
            record = call.record
            if call.answer is None or not isinstance(call.answer.get("result"), dict):
                continue
            if _reads_stream(record):
                self._streams.setdefault(record["self"], deque()).append(number)
            elif _reads_file(record) and "ok" in call.answer["result"]:
                self._files.setdefault(record["self"], []).append(number)

    def left(self, record: Record) -> bool:
        """Whether there is something left of the piece that the stream gave last."""
        return _reads_stream(record) and bool(self._left.get(record["self"]))

    def used(self, number: int) -> None:
        """A call was found as it was made."""
        stream = self._streams.get(self._calls[number].record.get("self", 0))
        if stream is not None and number in stream:
            stream.remove(number)

    def result(self, record: Record) -> Any:
        """What is read so, None where that is not known."""
        if _reads_file(record):
            return self._of_file(record)
        return self._of_stream(record) if _reads_stream(record) else None

    def _of_stream(self, record: Record) -> Any:
        number, left = record["self"], self._left.get(record["self"], b"")
        if not left:
            stream = self._streams.get(number)
            if not stream:
                return self._last.get(number)
            at = stream.popleft()
            self._taken(at)
            result = (self._calls[at].answer or {})["result"]
            if "ok" not in result:
                self._last[number] = result  # closed is closed
                return result
            left = _bytes(result["ok"])
        size = record["args"]["len"]
        self._left[number] = left[size:]
        return {"ok": _packed(left[:size])}

    def _of_file(self, record: Record) -> Any:
        offset, size = record["args"]["offset"], record["args"]["length"]
        for at in self._files.get(record["self"], ()):
            call = self._calls[at]
            data, end = (call.answer or {})["result"]["ok"]
            skipped, text = offset - call.record["args"]["offset"], _bytes(data)
            if 0 <= skipped < len(text) or (skipped == len(text) and end):
                self._taken(at)
                part = text[skipped : skipped + size]
                return {"ok": [_packed(part), end and skipped + len(part) == len(text)]}
        return None


def _reads_stream(record: Record) -> bool:
    return record.get("interface") == "wasi:io/streams" and record["func"] in _STREAM


def _reads_file(record: Record) -> bool:
    interface, func = record.get("interface"), record["func"]
    return interface == "wasi:filesystem/types" and func == "descriptor.read"


def _bytes(value: Record) -> bytes:
    return base64.b64decode(value["~b64"])


def _packed(raw: bytes) -> Record:
    return {"~b64": base64.b64encode(raw).decode()}

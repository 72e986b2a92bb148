"""What a guest writes for people to read, line by line: standard output and error, wasi:logging,
and what scripts print."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import field

from whamm_cm.dataclass import dataclass
from whamm_cm.trace.calls import LiveCall
from whamm_cm.trace.contents import text_of
from whamm_cm.trace.records import Record
from whamm_cm.trace.semconv import Attributes

#: Characters of a line; a longer one is several.
_LONGEST = 8192
#: Lines that wait to be taken, and lines without an end that are remembered, at most.
_MOST = 4096
#: Seconds after which the beginning of a line counts as one.
_PATIENCE = 2.0

#: Levels of wasi:logging → as OpenTelemetry numbers them.
_LEVELS = {"trace": 1, "debug": 5, "info": 9, "warn": 13, "error": 17, "critical": 21}
_STREAMS = {"stdout": ("", 9), "stderr": ("", 13)}
_WRITES = ("output-stream.write", "output-stream.blocking-write-and-flush")


@dataclass(frozen=True, slots=True)
class LogLine:
    """``time_ns`` since 1970; ``number`` is OpenTelemetry's of the severity; identities as of
    spans, "" where it is part of none."""

    time_ns: int
    text: str
    number: int
    severity: str
    trace_id: str = ""
    span_id: str = ""
    attributes: Attributes = field(default_factory=dict)
    service: str = ""
    source: str = ""


@dataclass(slots=True)
class Chunk:
    """A line, or what there is of it.  ``call``: the call that wrote it (``writes``), or the one
    around it."""

    text: str
    t_ns: int | None
    number: int
    severity: str
    attributes: Attributes
    call: LiveCall | None = None
    writes: bool = True
    at: float = 0.0


class Lines:
    """Collects them.  What is written in pieces is put together, for each instance and stream."""

    def __init__(self) -> None:
        self._done: list[Chunk] = []
        self._begun: dict[tuple[int, str], Chunk] = {}
        #: Lines that were more than could wait.
        self.lost = 0

    def written(self, call: LiveCall, record: Record, stream: str, now: float) -> None:
        """A call that may write a line; ``stream``: what the handle is called that it is about."""
        if record["func"] == "log" and record.get("interface") == "wasi:logging/logging":
            self._logged(call, record)
        elif stream in _STREAMS and record["func"] in _WRITES:
            text = _text(record.get("args", {}).get("contents"))
            if text:
                self._more(call, record, stream, text, now)

    def printed(self, around: LiveCall | None, record: Record) -> None:
        """A script has printed."""
        about: Attributes = {"whamm_cm.log": "script"}
        for key in ("script", "probe"):
            if record.get(key):
                about[f"whamm_cm.{key}"] = record[key]
        text = text_of(record["text"]) or ""
        self._add(Chunk(text.rstrip("\n"), record.get("t_ns"), 9, "", about, around, False))

    def _logged(self, call: LiveCall, record: Record) -> None:
        args = record.get("args", {})
        level = args.get("level")
        about: Attributes = {"whamm_cm.log": "wasi:logging"}
        if isinstance(args.get("context"), str) and args["context"]:
            about["whamm_cm.context"] = args["context"]
        number, severity = _LEVELS.get(level, 9), str(level or "").upper()
        text = text_of(args.get("message")) or ""
        self._add(Chunk(text, record.get("t_ns"), number, severity, about, call))

    def _more(self, call: LiveCall, record: Record, stream: str, text: str, now: float) -> None:
        key = call.instance, stream
        for piece in text.splitlines(keepends=True):
            chunk = self._begun.pop(key, None)
            if chunk is None:
                severity, number = _STREAMS[stream]
                about: Attributes = {"log.iostream": stream}
                chunk = Chunk("", record.get("t_ns"), number, severity, about, call, at=now)
            chunk.text += piece
            if piece.endswith("\n") or len(chunk.text) >= _LONGEST:
                chunk.text = chunk.text.rstrip("\r\n")
                self._add(chunk)
                continue
            if len(self._begun) >= _MOST:
                self._add(self._begun.pop(next(iter(self._begun))))
            self._begun[key] = chunk

    def _add(self, chunk: Chunk) -> None:
        if not chunk.text:
            return
        if len(self._done) >= _MOST:
            self.lost += 1
            return
        self._done.append(chunk)

    @property
    def full(self) -> bool:
        return len(self._done) >= _MOST // 2

    def waiting(self) -> Iterator[LiveCall]:
        """The calls that lines are of which were not taken."""
        for chunk in (*self._done, *self._begun.values()):
            if chunk.call is not None:
                yield chunk.call

    def take(self, now: float, final: bool) -> list[Chunk]:
        """Those that are whole, and those that nothing more came of for a while."""
        for key, chunk in [*self._begun.items()]:
            if final or now - chunk.at > _PATIENCE:
                del self._begun[key]
                self._add(chunk)
        found, self._done = self._done, []
        return found


def _text(value: object) -> str:
    """Of bytes as JSON; an ellipsis stands for what was cut off."""
    if isinstance(value, dict) and isinstance(value.get("~b64"), str):
        text = base64.b64decode(value["~b64"], validate=False).decode("utf-8", "replace")
        return f"{text}…" if "~cut" in value else text
    return text_of(value) or "" if isinstance(value, str | dict) else ""

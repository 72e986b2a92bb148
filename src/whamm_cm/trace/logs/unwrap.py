"""Lines as they lie in a log → lines as the host wrote them, and where they are from.

Envelopes may lie in each other (a CRI line in the body of an OTLP record).  Streaming: only lines
that a driver has cut are held, until their rest comes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.trace.logs import cri, docker, journald, kubernetes, otel
from whamm_cm.trace.logs.piece import RFC3339, Piece, rfc3339

#: Characters of a cut line that are held at most; what is longer is given up as it is.
MAX_JOINED = 16 << 20
_DEPTH = 5
#: Streams with a cut line at the same time, at most.
_MAX_STREAMS = 4096

_OfObject: TypeAlias = Callable[[dict[str, Any]], list[Piece] | None]
_OfText: TypeAlias = Callable[[str], Piece | None]

_SENTINELS = ("WCM1 ", "WCM2.")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_STAMPED = re.compile(rf"({RFC3339})[ \t]+(.*)", re.DOTALL)


def _stamped(text: str) -> Piece | None:
    match = _STAMPED.fullmatch(text)
    return None if match is None else Piece(match[2], "", rfc3339(match[1]))


def _any_object(value: dict[str, Any]) -> list[Piece] | None:
    """Any other object that has a record in one of its texts, up to two levels down."""
    stamp = next((t for t in map(rfc3339, map(value.get, ("time", "timestamp", "ts"))) if t), None)
    found = [Piece(text, "", stamp) for text in _texts(value, 3) if _marked(text)]
    return found or None


def _texts(value: object, levels: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict) and levels:
        for each in value.values():
            yield from _texts(each, levels - 1)


#: The recognizers, in the order in which they are asked.
OBJECTS: tuple[_OfObject, ...] = (
    *(otel.of_object, journald.of_object, kubernetes.of_object, docker.of_object, _any_object),
)
TEXTS: tuple[_OfText, ...] = (kubernetes.of_text, cri.of_text, journald.of_text, _stamped)


@dataclass(frozen=True, slots=True)
class Line:
    """A line as the host wrote it.  ``source`` from the envelopes around it, "" for none; ``weak``:
    the part of it that may be a guest's own text; ``value``: the line if it is a bare object."""

    text: str
    source: str = ""
    time_ns: int | None = None
    weak: str = ""
    value: dict[str, Any] | None = None


class Unwrapper:
    """Feed it lines in order, without their line breaks."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str, int], tuple[Piece, list[str], int]] = {}

    def feed(self, text: str) -> Iterator[Line]:
        return self._open(Line(text), 0)

    def finish(self) -> Iterator[Line]:
        """What was cut and never went on."""
        for (source, _, depth), (piece, texts, _) in list(self._held.items()):
            yield from self._open(Line("".join(texts), source, piece.time_ns), depth)
        self._held.clear()

    def _open(self, line: Line, depth: int) -> Iterator[Line]:
        if depth < _DEPTH and not _begins(line.text):
            text = line.text.rstrip("\r\n").lstrip()
            if text.startswith("{"):
                yield from self._object(replace(line, text=text), depth)
                return
            if "\x1b" in text:
                text = _COLOURS.sub("", text)
            for of_text in TEXTS:
                piece = of_text(text)
                if piece is not None:
                    yield from self._piece(line, piece, depth)
                    return
        yield line

    def _object(self, line: Line, depth: int) -> Iterator[Line]:
        try:
            value = DECODER.decode(line.text)
        except (ValueError, RecursionError):
            yield line
            return
        if "phase" not in value:
            for of_object in OBJECTS:
                pieces = of_object(value)
                if pieces is not None:
                    for piece in pieces:
                        yield from self._piece(line, piece, depth)
                    return
        yield replace(line, value=value)

    def _piece(self, around: Line, piece: Piece, depth: int) -> Iterator[Line]:
        source = " ".join(filter(None, (around.source, "" if piece.weak else piece.source)))
        key = (source, piece.stream, depth + 1)
        first, texts, size = self._held.pop(key, (piece, [], 0))
        if texts and (_begins(piece.text) or size > MAX_JOINED):
            yield from self._open(Line("".join(texts), source, first.time_ns), depth + 1)
            first, texts, size = piece, [], 0
        texts.append(piece.text)
        if piece.partial:
            self._held[key] = first, texts, size + len(piece.text)
            if len(self._held) > _MAX_STREAMS:
                del self._held[next(iter(self._held))]
            return
        time_ns = first.time_ns if first.time_ns is not None else around.time_ns
        weak = piece.source if piece.weak else around.weak
        yield from self._open(Line("".join(texts), source, time_ns, weak), depth + 1)


def _marked(text: str) -> bool:
    return any(sentinel in text for sentinel in _SENTINELS)


def _begins(text: str) -> bool:
    """Whether a line of the sink begins here, so that what came before was not cut after all."""
    return text.startswith(_SENTINELS) and text.startswith(("WCM1 {", "WCM2."))


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text:.20} is no number JSON can hold")
    return value


#: JSON as it is defined: ``NaN`` and numbers beyond all bounds are none.
DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)

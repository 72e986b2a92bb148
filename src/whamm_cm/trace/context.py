"""W3C trace context: what a ``traceparent`` header says, and how identities of spans are made.

Identities are the same for the same call of the same run whoever derives them, so that the host can
pass on (``--propagate``) what the exporter will call the span later.
"""

from __future__ import annotations

import hashlib
import re

from whamm_cm.dataclass import dataclass

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
#: Hexadecimal digits of the two kinds of identities.
TRACE_DIGITS, SPAN_DIGITS = 32, 16


@dataclass(frozen=True, slots=True)
class Context:
    """A span of somebody: ``trace_id`` of 32, ``span_id`` of 16 hexadecimal digits."""

    trace_id: str
    span_id: str
    sampled: bool = True

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


def parse_traceparent(text: object) -> Context | None:
    """What the header says; None for one that is none, which the specification has ignored: capital
    letters, identities of zeros, version ff, more than version 00 has."""
    found = _FORM.fullmatch(text.strip(" \t")) if isinstance(text, str) else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more is not None):
        return None
    if not (trace_id.strip("0") and span_id.strip("0")):
        return None
    return Context(trace_id, span_id, bool(int(flags, 16) & 1))


def identity(digits: int, *key: str | int | None) -> str:
    """So many hexadecimal digits, the same for the same key."""
    text = "\x1f".join("" if part is None else str(part) for part in key)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:digits]


def request_trace(run: str, number: int) -> str:
    """The trace of request ``number`` of a run, unless the request brings one."""
    return identity(TRACE_DIGITS, "trace", run, "request", number)


def exchange_span(run: str, number: int, position: int) -> str:
    """The span of the outgoing request that is the ``position``-th (from 0) of request
    ``number``."""
    return identity(SPAN_DIGITS, "span", run, "request", number, "exchange", position)


class Outgoing:
    """The contexts of what goes out for request ``number`` of a run, which itself has come with
    ``traceparent``.  Spans that are made of the records later have these identities."""

    def __init__(self, run: str, number: int, traceparent: object) -> None:
        given = parse_traceparent(traceparent)
        self._run, self._number, self._count = run, number, 0
        self._trace_id = request_trace(run, number) if given is None else given.trace_id
        self._sampled = given is None or given.sampled

    def traceparent(self) -> str:
        """That of the next."""
        span_id = exchange_span(self._run, self._number, self._count)
        self._count += 1
        return Context(self._trace_id, span_id, self._sampled).traceparent

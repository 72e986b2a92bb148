"""Calls and returns decoded quickly: what is the same in all records of a site is made once.

``decode.py`` says what a record is; this is the same for the kinds that most records are of.  With
``lean`` there are no arguments, and of a result only what tells an error, for who only counts.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import field
from typing import Any, TypeAlias

from whamm_cm.agent.layout import RECORD_HEADER, NodeKind, Phase
from whamm_cm.dataclass import dataclass
from whamm_cm.trace.failures import STATUS_RETURNED, answers
from whamm_cm.trace.values import Reader, Readers, Tail, ValueFault


@dataclass(slots=True)
class Head:
    """What stands in front of each record: whose it is, and the number of the next one."""

    run: str
    instance: int = 0
    seq: int = 0
    #: Records that come in pieces, by instance, as far as they have come.
    parts: dict[int, bytearray] = field(default_factory=dict)

    def pieced(self, piece: bytes, place: int) -> bytes:
        """Takes a piece of a long record; the last makes the record, b"" until then."""
        size, before = place & 0xFFFFFFFF, place >> 32
        parts = self.parts.setdefault(self.instance, bytearray())
        if before == 0:
            parts.clear()
        if before != len(parts) or before + len(piece) > size:
            del self.parts[self.instance]
            raise ValueFault(": pieces of a long record are missing")
        parts += piece
        if len(parts) < size:
            return b""
        whole = bytes(self.parts.pop(self.instance))
        if len(whole) < RECORD_HEADER or whole[4] & 15 == Phase.PIECE:
            raise ValueFault(": a long record is none")
        return whole


Record: TypeAlias = dict[str, Any]
#: Reads the record at an offset of a block that ends at another; the number of its call, and whose
#: it is.
Quick: TypeAlias = Callable[[bytes, int, int, int, Head], Record]
Body: TypeAlias = Callable[[Record, Tail], None]

_TASK = struct.Struct("<I").unpack_from
_ONE, _TWO = struct.Struct("<Q").unpack_from, struct.Struct("<QQ").unpack_from


def quick_call(
    names: Record, read: Body | None, timed: bool, version: int, tasked: bool = False
) -> Quick:
    first = RECORD_HEADER + 8 * timed + 4 * tasked

    def call(data: bytes, at: int, end: int, number: int, head: Head) -> Record:
        if at + first > end:
            raise ValueFault(": its header is cut short")
        record = {"v": version, "run": head.run, "seq": head.seq}
        if timed:
            record["t_ns"] = _ONE(data, at + RECORD_HEADER)[0]
        record["instance"] = head.instance
        record["call"] = number
        if tasked and (task := _TASK(data, at + first - 4)[0]):
            record["task"] = task
        record["phase"] = "call"
        record |= names
        if read is not None:
            read(record, Tail(data, at + first, end))
        return record

    return call


def quick_return(
    names: Record, read: Body | None, timed: bool, version: int, tasked: bool = False
) -> Quick:
    first = RECORD_HEADER + 16 * timed + 4 * tasked

    def returned(data: bytes, at: int, end: int, number: int, head: Head) -> Record:
        if at + first > end:
            raise ValueFault(": its header is cut short")
        record = {"v": version, "run": head.run, "seq": head.seq}
        if timed:
            record["t_ns"], duration = _TWO(data, at + RECORD_HEADER)
        record["instance"] = head.instance
        record["call"] = number
        if tasked and (task := _TASK(data, at + first - 4)[0]):
            record["task"] = task
        record["phase"] = "return"
        record |= names
        if read is not None:
            read(record, Tail(data, at + first, end))
        if timed:
            record["dur_ns"] = duration
        return record

    return returned


def lean_bodies(
    readers: Readers, item: str, call: Body, result: Body, number: int | None
) -> tuple[Body | None, Body | None]:
    """What is read of calls and of returns where only counts are wanted."""
    if item in STATUS_RETURNED:
        return None, result
    return call if answers(item) else None, _outcome_body(readers, number)


def _outcome_body(readers: Readers, number: int | None) -> Body | None:
    read = None if number is None else outcome(readers, number)
    if read is None or number is None:
        return None
    size, failed = readers.node(number).size, read

    def body(record: Record, tail: Tail) -> None:
        if failed(tail, tail.take(size)):
            record["result"] = _ERROR

    return body


_ERROR = {"error": None}


def outcome(readers: Readers, number: int) -> Reader | None:
    """Whether a value is an error, be it inside an ``ok`` or a ``some``; None: it never is."""
    node = readers.node(number)
    if node.kind not in (NodeKind.RESULT, NodeKind.OPTION):
        return None
    of_result = node.kind is NodeKind.RESULT
    good = node.fields[0 if of_result else 1].type
    inner = None if good is None else outcome(readers, good)
    if inner is None and not of_result:
        return None
    payload, disc = node.b, 0 if of_result else 1

    def read(tail: Tail, at: int) -> bool:
        found = tail.data[at]
        if of_result and found == 1:
            return True
        return inner is not None and found == disc and bool(inner(tail, at + payload))

    return read

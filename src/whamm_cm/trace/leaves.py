"""Calls that are only counted, read without a record for each.

Most calls of a log leave a component and return before anything else is recorded.  Who only counts
needs of these how many there were, how long they took and how many failed: a run of them becomes
one record of phase ``calls`` for each function.  It has a :class:`Calls` under the key ``calls``,
goes from the decoder to the summary, and is never written anywhere.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, TypeAlias

from whamm_cm.agent.layout import RECORD_HEADER, NodeKind, Phase, RecordFlag
from whamm_cm.dataclass import dataclass
from whamm_cm.trace.failures import STATUS_RETURNED, answers
from whamm_cm.trace.quick import Head, outcome
from whamm_cm.trace.values import Readers, Tail

Record: TypeAlias = dict[str, Any]

_HEAD = struct.Struct("<IIQ").unpack_from
_TIMED = struct.Struct("<IIQQQ").unpack_from


def _untimed(data: bytes, at: int) -> tuple[int, int, int, int, int]:
    size, word, call = _HEAD(data, at)
    return size, word, call, 0, 0


@dataclass(frozen=True, slots=True)
class Calls:
    """``ns`` and ``max_ns`` of calls that are ``timed``."""

    calls: int
    errors: int
    timed: bool
    ns: int
    max_ns: int


class Leaf:
    """How the calls of one function are counted whose records begin with the same ``word``.

    ``back``: how their returns begin.  ``first`` and ``least``: bytes that a call and a return have
    at least.  ``disc``: where a result is 1 if it is an error, 0 if there is none; ``failed`` tells
    it of one that has errors further in, which begins at ``image``.
    """

    __slots__ = (
        "back",
        "disc",
        "failed",
        "first",
        "image",
        "least",
        "names",
        "read",
        "timed",
    )

    def __init__(self, word: int, names: Record, readers: Readers, result: int | None) -> None:
        self.names = names
        self.timed = bool(word >> 4 & RecordFlag.TIMED)
        self.back = word | Phase.RETURN
        self.read: Callable[[bytes, int], Any] = _TIMED if self.timed else _untimed
        self.first = RECORD_HEADER + 8 * self.timed
        self.image = self.least = RECORD_HEADER + 16 * self.timed
        self.disc, self.failed = 0, None if result is None else outcome(readers, result)
        if result is not None and self.failed is not None:
            node = readers.node(result)
            self.least += node.size
            good = node.fields[0].type if node.kind is NodeKind.RESULT else 0
            if node.kind is NodeKind.RESULT and (good is None or outcome(readers, good) is None):
                self.disc, self.failed = self.image, None

    def counted(self, head: Head, version: int, tally: list[int]) -> Record:
        calls, errors, spent, most, last = tally
        found = Calls(calls, errors, self.timed, spent, most)
        record: Record = {"v": version, "run": head.run, "seq": head.seq}
        if self.timed:
            record["t_ns"] = last
        record |= {"instance": head.instance, "phase": "calls", **self.names, "calls": found}
        return record


def leaf_of(
    readers: Readers, word: int, names: Record, item: str, result: int | None
) -> Leaf | None:
    """None where calls say more than that they were made, or others may be made from them.  One
    that says its task has its time taken from that task's export, whichever was entered last."""
    if word & 15 != Phase.CALL or names["edge"] != "import" or word >> 4 & RecordFlag.TASK:
        return None
    if answers(item) or item in STATUS_RETURNED:
        return None
    return Leaf(word, names, readers, result)


def count_leaves(
    leaves: dict[int, Leaf], data: bytes, at: int, head: Head, version: int, into: list[Record]
) -> int:
    """Counts the calls from ``at`` on for as long as each is followed by its return; returns where
    something else begins."""
    end = len(data)
    last = end - RECORD_HEADER
    tallies: dict[int, list[int]] = {}
    while at <= last:
        size, word, call = _HEAD(data, at)
        leaf = leaves.get(word)
        back = at + size
        if leaf is None or size < leaf.first or back + leaf.least > end:
            break
        size, word_back, call_back, t_ns, spent = leaf.read(data, back)
        stop = back + size
        if word_back != leaf.back or call_back != call or size < leaf.least or stop > end:
            break
        tally = tallies.get(word)
        if tally is None:
            tally = tallies[word] = [0, 0, 0, 0, 0]
        tally[0] += 1
        if spent > tally[3]:
            tally[3] = spent
        tally[2] += spent
        tally[4] = t_ns
        if leaf.disc:
            if data[back + leaf.disc] == 1:
                tally[1] += 1
        elif leaf.failed is not None and leaf.failed(Tail(data, stop, stop), back + leaf.image):
            tally[1] += 1
        at = stop
    for word, tally in tallies.items():
        into.append(leaves[word].counted(head, version, tally))
        head.seq += 2 * tally[0]
    return at

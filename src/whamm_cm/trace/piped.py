"""What passed through the streams and futures of a recorded instance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import field
from typing import Any, TypeAlias

from whamm_cm.abi.regions import Handled
from whamm_cm.dataclass import dataclass
from whamm_cm.trace.passing import Decoders
from whamm_cm.trace.recorded import Call, Lived
from whamm_cm.trace.recording import Signature
from whamm_cm.trace.records import Record
from whamm_cm.wit.types import FutureT, Resource, StreamT

#: Of a record the function it is about, None for what is none of the component's.
Find: TypeAlias = Callable[[Record], Signature | None]
_STATUS, _DROPPED = 15, 1
_OUTPUTS = ("wasi:cli/stdout", "wasi:cli/stderr")


@dataclass(slots=True)
class Flow:
    """``given``: by the host, else by the guest.  ``pieces``: as many elements as passed at once,
    as JSON; ``drops``: the host drops its end behind them."""

    type: StreamT | FutureT
    place: Signature | None
    given: bool
    pieces: list[Any] = field(default_factory=list)
    drops: bool = False


class Flows:
    """Those of one instance, by the call that passed an end, whether in its result, and the end."""

    def __init__(self, life: Lived, find: Find, decoders: Decoders) -> None:
        self.found: dict[tuple[int, bool, int], Flow] = {}
        #: What passed to the standard output and error, in its order.
        self.written: list[Any] = []
        self._find, self._decoders = find, decoders
        self._open: dict[int, Flow] = {}
        self._writable: dict[int, int] = {}
        self._calls: dict[int, Record] = {}
        if life.others:
            for record, call in _in_order(life):
                self._told(record, call)

    def _told(self, record: Record, call: Call | None) -> None:
        if call is None:
            self._builtin(record)
            return
        signature = self._find(call.record)
        if signature is None:
            return
        result = record["phase"] == "return"
        for t, number in self._ends(signature, record, result):
            flow = Flow(t, signature, result)
            if result:
                self._open[number] = flow
            elif number in self._writable:
                self._open[self._writable.pop(number)] = flow
            else:  # it had that from the host, and nothing of it passes through the guest any more
                self._open.pop(number, None)
            self.found[call.record["call"], result, number] = flow

    def _ends(
        self, signature: Signature, record: Record, result: bool
    ) -> list[tuple[StreamT | FutureT, int]]:
        found: list[tuple[StreamT | FutureT, int]] = []

        def make(what: Handled, number: int) -> int:
            if not isinstance(what, Resource):
                found.append((what, number))
            return number

        if result:
            self._decoders.of(signature.type.result)(record.get("result"), make)
        else:
            args = signature.args(record) or []
            for (_, t), value in zip(signature.params, args, strict=False):
                self._decoders.of(t)(value, make)
        return found

    def _builtin(self, record: Record) -> None:
        kind, _, op = record["func"].partition(".")
        if record["phase"] == "handle":
            if op == "new":
                self._writable[record["result"] & 0xFFFFFFFF] = record["result"] >> 32
            elif op in ("drop-readable", "drop-writable"):
                self._open.pop(record["args"][kind], None)
        elif op not in ("read", "write"):
            return
        elif record["phase"] == "call":
            self._calls[record["call"]] = record
        elif "pending" not in record and record["call"] in self._calls:
            end = self._calls.pop(record["call"])["args"][kind]
            flow = self._open.get(end)
            if flow is not None and flow.given == (op == "read"):
                self._passed(flow, record)

    def _passed(self, flow: Flow, record: Record) -> None:
        status = record["result"] & _STATUS
        if isinstance(flow.type, FutureT):
            if status == 0:
                flow.pieces.append(record["data"])
            flow.drops = True
            return
        if record["result"] >> 4:
            flow.pieces.append(record["data"])
            if flow.place is not None and flow.place.interface in _OUTPUTS:
                self.written.append(record["data"])
        flow.drops = flow.drops or status == _DROPPED


def _in_order(life: Lived) -> Iterator[tuple[Record, Call | None]]:
    """All records of an instance, as they were made."""
    listed: list[tuple[int, int, Record, Call | None]] = []
    for call in life.made:
        for record in (call.record, call.answer):
            if record is not None:
                listed.append((record["seq"], len(listed), record, call))
    listed += ((record["seq"], 0, record, None) for record in life.others)
    for _, _, record, one in sorted(listed, key=lambda each: each[:2]):
        yield record, one

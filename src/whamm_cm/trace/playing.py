"""A recording laid out as the memories of players (:mod:`whamm_cm.emit.play.layout`)."""

from __future__ import annotations

import base64
from bisect import bisect_left
from collections.abc import Callable, Mapping
from functools import partial
from itertools import zip_longest
from typing import Any, TypeAlias

from whamm_cm.abi import regions
from whamm_cm.abi.faults import AbiError
from whamm_cm.abi.layout import layouts
from whamm_cm.abi.regions import Handled
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.play.data import Data
from whamm_cm.emit.play.layout import Label
from whamm_cm.errors import InputError, RunError
from whamm_cm.trace.passing import Decoders
from whamm_cm.trace.piped import Flow, Flows
from whamm_cm.trace.recorded import Call, Lived, Recording
from whamm_cm.trace.recording import Signature
from whamm_cm.trace.records import Record
from whamm_cm.wit.types import FutureT, ListT, Resource, ValType

_OUTPUTS = ("get-stdout", "get-stderr")
_WRITES = ("output-stream.write", "output-stream.blocking-write-and-flush")
#: What decoding comes to where a value is not of its type.
_ODD = (AbiError, TypeError, KeyError, ValueError, AttributeError)
#: Of what there is a handle of and its number, the value that stands for it.
Make: TypeAlias = Callable[[Any, int], Any]


@dataclass(frozen=True, slots=True)
class Laid:
    """One instance: the memories of its provider and its driver, as core modules."""

    provider: bytes
    driver: bytes


class Layout:
    """``imports`` and ``exports`` are the signatures of the component by name, ``functions`` and
    ``called`` the numbers of those; ``kinds`` those of resources, of which there are
    ``resources``, and of streams and futures, ``handed`` the same for drivers.  ``text``: what the
    guests wrote.
    Raises InputError for values that are not of their types: another build may have others."""

    def __init__(
        self, recording: Recording, imports: Mapping[str, Signature],
        functions: Mapping[str, int], kinds: Mapping[Handled, int], resources: int,
    ) -> None:  # fmt: skip
        self._recording, self._kinds = recording, kinds
        self._made = _ByName(imports)
        self._functions = functions
        self._decoders = Decoders()
        self._resources = resources
        self._flows: dict[tuple[int, bool, int], Flow] = {}
        self._lists: dict[ValType, ListT] = {}
        self.text = bytearray()
        self._masked = recording.head.get("secrets") == "mask"
        self.calls = 0

    def life(
        self, life: Lived, called: Mapping[str, Signature], handed: Mapping[Handled, int]
    ) -> Laid:
        flows = Flows(life, self._signature, self._decoders)
        self._flows = flows.found
        self.text += written(life)
        for data in flows.written:
            self.text += base64.b64decode(data["~b64"])
        provider = Data(self._kinds.__getitem__)
        for call in life.made:
            self._lay_made(provider, call)
        driver = Data(handed.__getitem__)
        exports = _ByName(called)
        places = [call.record["call"] for call in life.made]
        for call, following in zip_longest(life.entered, life.entered[1:]):
            made = len(places)
            if following is not None:
                made = bisect_left(places, following.record["call"])
            self._lay_called(driver, exports, call, made)
        last = self.calls + len(life.made) + len(life.entered) + 1
        self.calls = last - 1
        last_one = life is self._recording.lives[-1]
        cut = life.stopped is not None or (self._recording.end is None and last_one)
        ends = Label.CUT if cut else Label.NO_MORE
        return Laid(provider.module(last, ends), driver.module(last, ends))

    def _lay_made(self, data: Data, call: Call) -> None:
        number = self.calls + call.record["call"]
        found = self._made.find(call.record)
        if found is None:
            if not call.record["func"].endswith(".drop"):
                raise InputError(
                    f"the component imports no {call.record.get('interface', '')}#"
                    f"{call.record['func']}, which was called then; compose the build that was"
                    " recorded"
                )
            row = regions.Region(8, 8, [(0, call.record["self"].to_bytes(4, "little"))])
            data.made(len(self._functions), number, row, False, data.answer(regions.Region(8, 8)))
            return
        name, signature = found
        types = [t for _, t in signature.params]
        try:
            make = partial(self._end, data, number, call.record["call"])
            args = self._args(signature, call.record, partial(make, False))
            row = regions.params(types, args)
            answer = self._answer(data, signature, call, partial(make, True))
        except _ODD as error:
            raise _other(signature, error) from None
        stars = self._masked and signature.rule is not None
        data.made(self._functions[name], number, row, stars, answer)

    def _signature(self, record: Record) -> Signature | None:
        found = self._made.find(record)
        return None if found is None else found[1]

    def _end(
        self, data: Data, number: int, call: int, result: bool, what: Handled, end: int
    ) -> Any:
        """A resource, or an end that call ``number`` passed with all that passes through it."""
        if isinstance(what, Resource):
            return regions.Owned(end, what)
        flow = self._flows.get((call, result, end)) or Flow(what, None, result)
        pieces = [self._piece(data, flow, piece) for piece in flow.pieces]
        step = 2 * (self._kinds[what] - self._resources) + (not flow.given)
        size = 1 if what.element is None else layouts().info(what.element).size
        room = 0 if flow.given else size * max((1, *(count for _, count in pieces)))
        return regions.Owned(data.end(step, pieces, flow.drops, number, room), what)

    def _piece(self, data: Data, flow: Flow, piece: Any) -> tuple[int, int]:
        element = flow.type.element
        if element is None:
            row, count = regions.Region(1, 0), len(piece)
        elif isinstance(flow.type, FutureT):
            value = self._decoders.of(element)(piece[0], _owned)
            row, count = regions.image(element, value), 1
        else:
            listed = self._lists.setdefault(element, ListT(element))
            value = self._decoders.of(listed)(piece, _owned)
            image = regions.image(listed, value)
            row = next(part for _, part in image.writes if isinstance(part, regions.Region))
            count = len(value)
        return data.given(row, count) if flow.given else data.taken(row, count, self._masked)

    def _answer(self, data: Data, signature: Signature, call: Call, make: Make) -> int:
        if call.answer is None:
            if self._recording.end is None:
                return Label.CUT
            return Label.EXITS if signature.interface == "wasi:cli/exit" else Label.ENDS
        t = signature.type.result
        value = self._decoders.of(t)(call.answer.get("result"), make)
        return data.answer(regions.result(t, value))

    def _lay_called(self, data: Data, exports: _ByName, call: Call, made: int) -> None:
        found = exports.find(call.record)
        assert found is not None, "those that were called are known"
        name, signature = found
        types = [t for _, t in signature.params]
        number, script = self.calls + call.record["call"], 0
        try:
            args = data.answer(regions.params(types, self._args(signature, call.record, _owned)))
            if call.answer is not None:
                t = signature.type.result
                value = self._decoders.of(t)(call.answer.get("result"), _owned)
                stars = self._masked and signature.rule is not None
                script = data.script(regions.result(t, value), stars)
        except _ODD as error:
            raise _other(signature, error) from None
        data.called(exports.number(name), number, args, script, made)

    def _args(self, signature: Signature, record: Record, make: Make) -> list[Any]:
        args = signature.args(record)
        if args is None:
            raise AbiError("other parameters")
        of = self._decoders.of
        return [of(t)(v, make) for (_, t), v in zip(signature.params, args, strict=True)]


def written(life: Lived) -> bytes:
    """What a guest of WASI 0.2 wrote to its standard output and error."""
    found, outputs = bytearray(), set[int]()
    for call in life.made:
        record, answer = call.record, call.answer
        if record["func"] in _WRITES and record["self"] in outputs:
            found += base64.b64decode(record["args"]["contents"]["~b64"])
        elif record["func"] in _OUTPUTS and answer is not None:
            outputs.add(answer["result"])
    return bytes(found)


class _ByName:
    """Signatures by what records say, with the version where that tells them apart."""

    def __init__(self, signatures: Mapping[str, Signature]) -> None:
        self._found: dict[tuple[str, str, str | None], tuple[str, Signature]] = {}
        self._numbers = {name: number for number, name in enumerate(signatures)}
        for name, one in signatures.items():
            self._found.setdefault((one.interface, one.func, None), (name, one))
            self._found[one.interface, one.func, one.version or ""] = name, one

    def find(self, record: Record) -> tuple[str, Signature] | None:
        interface, func = record.get("interface", ""), record["func"]
        exact = self._found.get((interface, func, record.get("version", "")))
        return exact or self._found.get((interface, func, None))

    def number(self, name: str) -> int:
        return self._numbers[name]


def _owned(what: Handled, number: int) -> regions.Owned:
    if not isinstance(what, Resource):
        raise RunError("a stream or future was passed where only a host can make one")
    return regions.Owned(number, what)


def _other(signature: Signature, error: Exception) -> InputError:
    return InputError(
        f"{signature.place} was recorded with other types than the component has: {error}; compose"
        " the build that was recorded"
    )

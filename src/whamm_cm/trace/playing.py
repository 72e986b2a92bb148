"""A recording laid out as the memories of players (:mod:`whamm_cm.emit.play.layout`)."""

from __future__ import annotations

import base64
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from whamm_cm.abi import regions
from whamm_cm.abi.faults import AbiError
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.play.data import Data
from whamm_cm.emit.play.layout import Label
from whamm_cm.errors import InputError
from whamm_cm.trace.passing import Decoders
from whamm_cm.trace.recorded import Call, Lived, Recording
from whamm_cm.trace.recording import Signature
from whamm_cm.trace.records import Record
from whamm_cm.wit.types import Resource

_OUTPUTS = ("wasi:cli/stdout", "wasi:cli/stderr")
_WRITES = ("output-stream.write", "output-stream.blocking-write-and-flush")
#: Bytes of what a guest wrote that a composed component tells.
_MOST_TEXT = 1 << 24


@dataclass(frozen=True, slots=True)
class Laid:
    """One instance: the memories of its provider and its driver, as core modules."""

    provider: bytes
    driver: bytes


class Layout:
    """``imports`` and ``exports`` are the signatures of the component by name, ``functions`` and
    ``called`` the numbers of those; ``kinds`` those of resources, ``handed`` the same for drivers.
    Raises InputError for values that are not of their types: another build may have others."""

    def __init__(
        self, recording: Recording, imports: Mapping[str, Signature],
        functions: Mapping[str, int], kinds: Mapping[Resource, int],
    ) -> None:  # fmt: skip
        self._recording, self._kinds = recording, kinds
        self._made = _ByName(imports)
        self._functions = functions
        self._decoders = Decoders()
        self._masked = recording.head.get("secrets") == "mask"
        self.calls = 0

    def life(
        self, life: Lived, called: Mapping[str, Signature], handed: Mapping[Resource, int]
    ) -> Laid:
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
        cut = self._recording.end is None and life is self._recording.lives[-1]
        ends = Label.CUT if cut else Label.NO_MORE
        return Laid(provider.module(last, ends), driver.module(last, ends))

    def _lay_made(self, data: Data, call: Call) -> None:
        number = self.calls + call.record["call"]
        found = self._made.find(call.record)
        if found is None:
            row = regions.Region(8, 8, [(0, call.record["self"].to_bytes(4, "little"))])
            data.made(len(self._functions), number, row, False, data.answer(regions.Region(8, 8)))
            return
        name, signature = found
        types = [t for _, t in signature.params]
        try:
            row = regions.params(types, self._args(signature, call.record))
            answer = self._answer(data, signature, call)
        except (AbiError, TypeError, KeyError, ValueError) as error:
            raise _other(signature, error) from None
        stars = self._masked and signature.rule is not None
        data.made(self._functions[name], number, row, stars, answer)

    def _answer(self, data: Data, signature: Signature, call: Call) -> int:
        if call.answer is None:
            if self._recording.end is None:
                return Label.CUT
            return Label.EXITS if signature.interface == "wasi:cli/exit" else Label.ENDS
        t = signature.type.result
        value = self._decoders.of(t)(call.answer.get("result"), _owned)
        return data.answer(regions.result(t, value))

    def _lay_called(self, data: Data, exports: _ByName, call: Call, made: int) -> None:
        found = exports.find(call.record)
        assert found is not None, "those that were called are known"
        name, signature = found
        types = [t for _, t in signature.params]
        number, script = self.calls + call.record["call"], 0
        try:
            args = data.answer(regions.params(types, self._args(signature, call.record)))
            if call.answer is not None:
                t = signature.type.result
                value = self._decoders.of(t)(call.answer.get("result"), _owned)
                stars = self._masked and signature.rule is not None
                script = data.script(regions.result(t, value), stars)
        except (AbiError, TypeError, KeyError, ValueError) as error:
            raise _other(signature, error) from None
        data.called(exports.number(name), number, args, script, made)

    def _args(self, signature: Signature, record: Record) -> list[Any]:
        args = signature.args(record)
        if args is None:
            raise AbiError("other parameters")
        of = self._decoders.of
        return [of(t)(v, _owned) for (_, t), v in zip(signature.params, args, strict=True)]


def written(lives: Sequence[Lived]) -> bytes:
    """What the guest wrote to its standard output and error, in UTF-8."""
    found = bytearray()
    for life in lives:
        outputs = set[int]()
        for call in life.made:
            record, answer = call.record, call.answer
            if record.get("interface") in _OUTPUTS and answer is not None:
                outputs.add(answer["result"])
            elif record["func"] in _WRITES and record["self"] in outputs:
                found += base64.b64decode(record["args"]["contents"]["~b64"])
    return bytes(found[:_MOST_TEXT]).decode("utf-8", "replace").encode()


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


def _owned(resource: Resource, number: int) -> regions.Owned:
    return regions.Owned(number, resource)


def _other(signature: Signature, error: Exception) -> InputError:
    return InputError(
        f"{signature.place} was recorded with other types than the component has: {error}; compose"
        " the build that was recorded"
    )

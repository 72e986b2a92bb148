"""Values between host and guest as records have them, and back.

Python values have the shapes of :mod:`whamm_cm.abi.values`, resources being numbers one takes or
objects one makes; JSON has those of docs/records.md.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from whamm_cm.trace.floats import shortest32
from whamm_cm.wit.types import (
    Borrow,
    FutureT,
    ListT,
    MapT,
    OptionT,
    Own,
    Prim,
    RecordT,
    ResultT,
    StreamT,
    TupleT,
    ValType,
    VariantT,
    strip,
)

#: Of a value, with the numbers of the resources in it, the JSON.
Encode: TypeAlias = Callable[[Any, Iterator[int]], Any]
#: Of JSON the value, with what makes a resource, stream or future of its type and a number.
Decode: TypeAlias = Callable[[Any, Callable[[Any, int], Any]], Any]


class Encoders:
    """Those of one component, each type's made once: types share their parts.  ``number`` says
    that of a resource, by default the next."""

    def __init__(self, number: Encode = lambda value, numbers: next(numbers)) -> None:
        self._number = number
        self._made: dict[int, Encode] = {}

    def of(self, t: ValType | None) -> Encode:
        if t is None:
            return lambda value, numbers: None
        t = strip(t)
        found = self._made.get(id(t))
        if found is None:
            found = self._made[id(t)] = self._make(t)
        return found

    def _make(self, t: ValType) -> Encode:
        match t:
            case Prim("f32" | "f64"):
                single = t.name == "f32"
                return lambda value, numbers: _number(value, single)
            case ListT(Prim("u8")):
                return lambda value, numbers: {"~b64": base64.b64encode(value).decode()}
            case ListT():
                item = self.of(t.element)
                return lambda value, numbers: [item(one, numbers) for one in value]
            case MapT():
                return self._tuples((t.key, t.value), True)
            case TupleT():
                return self._tuples(t.types, False)
            case RecordT():
                fields = [(name, self.of(field)) for name, field in t.fields]
                return lambda value, numbers: {n: of(value[n], numbers) for n, of in fields}
            case VariantT() | ResultT():
                return self._choice(t)
            case OptionT():
                return self._option(t)
            case Own() | Borrow():
                return self._number
            case _:
                return lambda value, numbers: value

    def _tuples(self, types: tuple[ValType, ...], many: bool) -> Encode:
        parts = [self.of(one) for one in types]

        def one(value: Any, numbers: Iterator[int]) -> Any:
            return [of(part, numbers) for of, part in zip(parts, value, strict=True)]

        return (lambda value, numbers: [one(v, numbers) for v in value]) if many else one

    def _choice(self, t: VariantT | ResultT) -> Encode:
        cases = {name: self.of(payload) for name, payload in _cases(t)}

        def choice(value: Any, numbers: Iterator[int]) -> Any:
            ((name, payload),) = value.items()
            return {name: cases[name](payload, numbers)}

        return choice

    def _option(self, t: OptionT) -> Encode:
        some, nested = self.of(t.inner), isinstance(strip(t.inner), OptionT)

        def option(value: Any, numbers: Iterator[int]) -> Any:
            if value is None:
                return None
            return {"some": some(value["some"], numbers)} if nested else some(value, numbers)

        return option


class Decoders:
    """The same the other way round.  Decoding raises what Python does for JSON of other types."""

    def __init__(self) -> None:
        self._made: dict[int, Decode] = {}

    def of(self, t: ValType | None) -> Decode:
        if t is None:
            return lambda value, make: None
        t = strip(t)
        found = self._made.get(id(t))
        if found is None:
            found = self._made[id(t)] = self._make(t)
        return found

    def _make(self, t: ValType) -> Decode:
        match t:
            case Prim("f32" | "f64"):
                return lambda value, make: float(value)
            case ListT(Prim("u8")):
                return lambda value, make: base64.b64decode(value["~b64"])
            case ListT():
                item = self.of(t.element)
                return lambda value, make: [item(one, make) for one in value]
            case MapT():
                return self._tuples((t.key, t.value), True)
            case TupleT():
                return self._tuples(t.types, False)
            case RecordT():
                fields = [(name, self.of(field)) for name, field in t.fields]
                return lambda value, make: {n: of(value[n], make) for n, of in fields}
            case VariantT() | ResultT():
                return self._choice(t)
            case OptionT():
                return self._option(t)
            case Own() | StreamT() | FutureT():
                what = t.resource if isinstance(t, Own) else t
                return lambda value, make: make(what, value)
            case _:
                return lambda value, make: value

    def _tuples(self, types: tuple[ValType, ...], many: bool) -> Decode:
        parts = [self.of(one) for one in types]

        def one(value: Any, make: Callable[[Any, int], Any]) -> Any:
            return [of(part, make) for of, part in zip(parts, value, strict=True)]

        return (lambda value, make: [one(v, make) for v in value]) if many else one

    def _choice(self, t: VariantT | ResultT) -> Decode:
        cases = {name: self.of(payload) for name, payload in _cases(t)}

        def choice(value: Any, make: Callable[[Any, int], Any]) -> Any:
            ((name, payload),) = value.items()
            return {name: cases[name](payload, make)}

        return choice

    def _option(self, t: OptionT) -> Decode:
        some, nested = self.of(t.inner), isinstance(strip(t.inner), OptionT)

        def option(value: Any, make: Callable[[Any, int], Any]) -> Any:
            if value is None:
                return None
            return {"some": some(value["some"], make)} if nested else some(value, make)

        return option


def _cases(t: VariantT | ResultT) -> tuple[tuple[str, ValType | None], ...]:
    return t.cases if isinstance(t, VariantT) else (("ok", t.ok), ("error", t.err))


def _number(value: float, single: bool) -> Any:
    if not math.isfinite(value):
        return str(value)
    return shortest32(value) if single else value

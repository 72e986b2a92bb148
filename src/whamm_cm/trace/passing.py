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

#: Of a value, and what there is beside it, the other form of it.
Code: TypeAlias = Callable[[Any, Any], Any]


class _Codecs:
    """Those of one component, each type's made once: types share their parts.  ``more`` is what
    they are given beside the value, for the resources in it."""

    def __init__(self) -> None:
        self._made: dict[int, Code] = {}

    def of(self, t: ValType | None) -> Code:
        if t is None:
            return lambda value, more: None
        t = strip(t)
        found = self._made.get(id(t))
        if found is None:
            found = self._made[id(t)] = self._single(t) or self._composite(t)
        return found

    def _single(self, t: ValType) -> Code | None:
        """Of what differs between the two ways."""
        raise NotImplementedError

    def _composite(self, t: ValType) -> Code:
        match t:
            case ListT():
                item = self.of(t.element)
                return lambda value, more: [item(one, more) for one in value]
            case MapT():
                return self._tuples((t.key, t.value), True)
            case TupleT():
                return self._tuples(t.types, False)
            case RecordT():
                fields = [(name, self.of(field)) for name, field in t.fields]
                return lambda value, more: {n: of(value[n], more) for n, of in fields}
            case VariantT() | ResultT():
                return self._choice(t)
            case OptionT():
                return self._option(t)
            case _:
                return lambda value, more: value

    def _tuples(self, types: tuple[ValType, ...], many: bool) -> Code:
        parts = [self.of(one) for one in types]

        def one(value: Any, more: Any) -> Any:
            return [of(part, more) for of, part in zip(parts, value, strict=True)]

        return (lambda value, more: [one(v, more) for v in value]) if many else one

    def _choice(self, t: VariantT | ResultT) -> Code:
        cases = {name: self.of(payload) for name, payload in _cases(t)}

        def choice(value: Any, more: Any) -> Any:
            ((name, payload),) = value.items()
            return {name: cases[name](payload, more)}

        return choice

    def _option(self, t: OptionT) -> Code:
        some, nested = self.of(t.inner), isinstance(strip(t.inner), OptionT)

        def option(value: Any, more: Any) -> Any:
            if value is None:
                return None
            return {"some": some(value["some"], more)} if nested else some(value, more)

        return option


class Encoders(_Codecs):
    """Of a value, with the numbers of the resources in it, the JSON.  ``number`` says that of a
    resource, by default the next."""

    def __init__(
        self, number: Callable[[Any, Iterator[int]], Any] = lambda value, numbers: next(numbers)
    ) -> None:
        super().__init__()
        self._number = number

    def _single(self, t: ValType) -> Code | None:
        match t:
            case Prim("f32" | "f64"):
                single = t.name == "f32"
                return lambda value, numbers: _number(value, single)
            case ListT(Prim("u8")):
                return lambda value, numbers: {"~b64": base64.b64encode(value).decode()}
            case Own() | Borrow():
                return self._number
        return None


class Decoders(_Codecs):
    """Of JSON the value, with what makes a resource of a type and a number.  Decoding raises what
    Python does for JSON of other types."""

    def _single(self, t: ValType) -> Code | None:
        match t:
            case Prim("f32" | "f64"):
                return lambda value, make: float(value)
            case ListT(Prim("u8")):
                return lambda value, make: base64.b64decode(value["~b64"])
            case Own() | StreamT() | FutureT():
                what = t.resource if isinstance(t, Own) else t
                return lambda value, make: make(what, value)
        return None


def _cases(t: VariantT | ResultT) -> tuple[tuple[str, ValType | None], ...]:
    return t.cases if isinstance(t, VariantT) else (("ok", t.ok), ("error", t.err))


def _number(value: float, single: bool) -> Any:
    if not math.isfinite(value):
        return str(value)
    return shortest32(value) if single else value

"""What a recording has no answer for, asked of the host: with resources of the host only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from whamm_cm.front.replay import Handed
from whamm_cm.run.host.bridge import Failure, Resource
from whamm_cm.run.host.offers import HOST
from whamm_cm.run.host.world import Pollable, Settings, World
from whamm_cm.trace.recording import Signature
from whamm_cm.wit.types import (
    Borrow,
    ListT,
    MapT,
    OptionT,
    Own,
    RecordT,
    ResultT,
    TupleT,
    ValType,
    VariantT,
    strip,
)

#: What becomes of a resource in a value.
Swap = Callable[[ValType, Any], Any]


class Recorded(Exception):
    """A resource of the recording, which the host knows nothing of."""


class Live:
    """The host of one replay.  ``wrap`` makes of one of its resources what the guest is given."""

    def __init__(self, settings: Settings, wrap: Callable[[ValType, Resource], Handed]) -> None:
        self.world, self._wrap = World(settings), wrap

    def knows(self, signature: Signature) -> bool:
        found = HOST.get(signature.interface)
        return found is not None and signature.label in found.functions

    def call(self, signature: Signature, values: Sequence[Any]) -> Any:
        """As a host function of :data:`HOST`; raises :class:`Recorded` before it is asked."""
        params = zip(signature.params, values, strict=True)
        given = [swapped(t, value, _unwrapped) for (_, t), value in params]
        t = signature.type.result
        whole = None if t is None else strip(t)
        try:
            found = HOST[signature.interface].functions[signature.label](self.world, *given)
        except Failure as failure:
            assert isinstance(whole, ResultT)
            raise Failure(swapped(whole.err, failure.payload, self._wrap)) from None
        if isinstance(whole, ResultT):
            return swapped(whole.ok, found, self._wrap)
        return swapped(whole, found, self._wrap)

    def waited(self, some: Sequence[Pollable]) -> list[int]:
        """The positions of those that are ready, when one is."""
        return self.world.wait(some)

    def close(self) -> None:
        self.world.close()


def _unwrapped(t: ValType, value: Any) -> Any:
    if value.live is None:
        raise Recorded
    return value.live


def swapped(t: ValType | None, value: Any, swap: Swap) -> Any:
    """A value with other resources in it."""
    found = None if t is None else strip(t)
    match found:
        case Own() | Borrow():
            return swap(found, value)
        case ListT() if not isinstance(value, bytes | bytearray):
            return [swapped(found.element, one, swap) for one in value]
        case MapT():
            return [[key, swapped(found.value, one, swap)] for key, one in value]
        case TupleT():
            pairs = zip(found.types, value, strict=True)
            return [swapped(of, one, swap) for of, one in pairs]
        case RecordT():
            return {name: swapped(of, value[name], swap) for name, of in found.fields}
        case VariantT() | ResultT():
            cases = (
                found.cases
                if isinstance(found, VariantT)
                else (("ok", found.ok), ("error", found.err))
            )
            ((name, payload),) = value.items()
            return {name: swapped(dict(cases)[name], payload, swap)}
        case OptionT() if value is not None:
            if isinstance(strip(found.inner), OptionT):
                return {"some": swapped(found.inner, value["some"], swap)}
            return swapped(found.inner, value, swap)
    return value

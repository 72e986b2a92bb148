"""Whether the code behind an ``unreachable`` that a probe replaces could run.

It has only been checked against a stack of any shape.  With ``nop`` in its place, which is as long,
the engine says whether the function would still be valid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from whamm_cm.wasm.module import CoreModule
from whamm_cm.weave.opcodes.match import Function

#: A core module → why it is not valid, or None.
Validate: TypeAlias = Callable[[bytes], str | None]

_NOP = 0x01


def open_ended(
    module: CoreModule, functions: Iterable[Function], validate: Validate | None
) -> frozenset[int]:
    """The functions in which control may go on behind every replaced ``unreachable``; none
    without ``validate``."""
    places: dict[int, list[int]] = {}
    for function in functions:
        for firing in function.firings:
            point = firing.point
            if (point.package, point.event, point.mode) == ("opcode", "unreachable", "alt"):
                at = function.info.steps[point.opidx][0]
                places.setdefault(function.info.index, []).append(at)
    if not places or validate is None:
        return frozenset()
    if validate(_replaced(module, [at for found in places.values() for at in found])) is None:
        return frozenset(places)
    return frozenset(
        index for index, found in places.items() if validate(_replaced(module, found)) is None
    )


def _replaced(module: CoreModule, places: Iterable[int]) -> bytes:
    data = bytearray(module.data)
    for at in places:
        data[at] = _NOP
    return bytes(data)

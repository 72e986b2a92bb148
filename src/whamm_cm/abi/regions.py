"""Values as the regions of memory that they take, before anybody knows where those will be.

The codecs store into a :class:`Heap` of regions, whose addresses and handles know what they are: so
what is written is bytes, other regions and handles, and what is not written is padding.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import field
from typing import Any, TypeAlias

from whamm_cm.abi.codecs import Core
from whamm_cm.abi.flatten import MAX_FLAT_PARAMS, flatten, flatten_types
from whamm_cm.abi.layout import layouts
from whamm_cm.abi.values import lower_flat, store
from whamm_cm.dataclass import dataclass
from whamm_cm.wit.types import FutureT, Resource, StreamT, TupleT, ValType

#: Bytes from one core value to the next in a row of cells.
CELL = 8
#: Bits of an address that count within its region.
_WITHIN = 32


@dataclass(slots=True, eq=False)
class Region:
    """``writes``: offsets, and what stands there: bytes, the address of another region in 4 bytes,
    or a handle in 4 bytes.  In no order, none over another."""

    align: int
    size: int
    writes: list[tuple[int, Content]] = field(default_factory=list)


#: What there are handles of that change their owner.
Handled: TypeAlias = Resource | StreamT | FutureT


class Owned(int):
    """A resource, stream or future that changes its owner, by its number: what the value of an
    ``own`` is here."""

    resource: Handled

    def __new__(cls, number: int, resource: Handled) -> Owned:
        found = super().__new__(cls, number)
        found.resource = resource
        return found

    def to_bytes(self, *_: Any, **__: Any) -> bytes:
        return _Marked(self)

    def __and__(self, _: int) -> int:
        return self


Content: TypeAlias = bytes | Region | Owned


class _Address(int):
    region: Region

    def to_bytes(self, *_: Any, **__: Any) -> bytes:
        return _Marked(self.region)

    def __and__(self, _: int) -> int:
        return self


class _Marked(bytes):
    """Four bytes that are not known yet."""

    content: Region | Owned

    def __new__(cls, content: Region | Owned) -> _Marked:
        found = super().__new__(cls, 4)
        found.content = content
        return found


class _Regions:
    def __init__(self) -> None:
        self._all: list[Region] = []

    def alloc(self, align: int, size: int) -> int:
        self._all.append(Region(align, size))
        found = _Address((len(self._all) - 1) << _WITHIN)
        found.region = self._all[-1]
        return found

    def write(self, address: int, data: bytes) -> None:
        number, offset = divmod(int(address), 1 << _WITHIN)
        region = self._all[number]
        region.writes.append((offset, data.content if isinstance(data, _Marked) else bytes(data)))


def image(t: ValType, value: object) -> Region:
    """As a value lies in memory, of 32 bits and with strings in UTF-8.  Raises AbiError when
    ``value`` is not of type ``t``."""
    info, heap = layouts().info(t), _Regions()
    root = heap.alloc(info.align, info.size)
    store(t, value, heap, root)
    return heap._all[0]


def cells(types: Sequence[ValType], values: Sequence[object], limit: int) -> Region:
    """Core values one behind the other, as a function takes up to ``limit`` of them; of more one,
    the address of a tuple in memory."""
    cores = flatten_types(types, limit=limit)
    if cores is None:
        return Region(CELL, CELL, [(0, image(TupleT(tuple(types)), list(values)))])
    heap, found = _Regions(), Region(CELL, CELL * len(cores))
    at = 0
    for t, value in zip(types, values, strict=True):
        for core, flat in zip(flatten(t), lower_flat(t, value, heap), strict=True):
            found.writes.append((at, _cell(core, flat)))
            at += CELL
    return found


def params(types: Sequence[ValType], values: Sequence[object]) -> Region:
    """The cells of a function's parameters."""
    return cells(types, values, MAX_FLAT_PARAMS)


def result(t: ValType | None, value: object) -> Region:
    """The cell of a function's result, none for no type; of a result that is more than one core
    value the address, as whoever lifts it returns it."""
    if t is None:
        return Region(CELL, 0)
    if flatten_types((t,), limit=1) is None:
        return Region(CELL, CELL, [(0, image(t, value))])
    return cells((t,), (value,), 1)


def _cell(core: str, value: Core) -> Content:
    if isinstance(value, _Address):
        return value.region
    if isinstance(value, Owned):
        return value
    if core in ("f32", "f64"):
        return struct.pack("<f" if core == "f32" else "<d", value)
    return int(value).to_bytes(4 if core == "i32" else 8, "little")

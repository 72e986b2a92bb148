"""Sorts, items and tokens: how the IR refers to things without ever using an index.

An *item* is one entry of one index space: the thing an index would have named.  A definition that
uses an item holds the object itself.  Index spaces exist only in ``binary/``: the decoder looks
items up while it reads, the encoder numbers them by position while it writes.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

from whamm_cm.dataclass import dataclass


class Sort(enum.IntEnum):
    """The index spaces of a component (Binary.md, ``sort`` and ``core:sort``)."""

    CORE_FUNC = 0
    CORE_TABLE = 1
    CORE_MEMORY = 2
    CORE_GLOBAL = 3
    CORE_TAG = 4
    CORE_TYPE = 5
    CORE_MODULE = 6
    CORE_INSTANCE = 7
    FUNC = 8
    VALUE = 9
    TYPE = 10
    COMPONENT = 11
    INSTANCE = 12

    @property
    def label(self) -> str:
        """The spec's name of the sort, such as ``core func``."""
        return self.name.lower().replace("_", " ")


#: Encoding of each sort where a full ``sort`` is expected.
SORT_BYTES: dict[Sort, bytes] = {
    Sort.CORE_FUNC: b"\0\x00",
    Sort.CORE_TABLE: b"\0\x01",
    Sort.CORE_MEMORY: b"\0\x02",
    Sort.CORE_GLOBAL: b"\0\x03",
    Sort.CORE_TAG: b"\0\x04",
    Sort.CORE_TYPE: b"\0\x10",
    Sort.CORE_MODULE: b"\0\x11",
    Sort.CORE_INSTANCE: b"\0\x12",
    Sort.FUNC: b"\x01",
    Sort.VALUE: b"\x02",
    Sort.TYPE: b"\x03",
    Sort.COMPONENT: b"\x04",
    Sort.INSTANCE: b"\x05",
}


class Item:
    """One entry of an index space.  Identity is the object; nothing else about it matters."""

    __slots__ = ("sort",)

    def __init__(self, sort: Sort) -> None:
        self.sort = sort

    def __repr__(self) -> str:
        return f"<{self.sort.label} {id(self) & 0xFFFFFF:x}>"


@dataclass(frozen=True, slots=True)
class Ref:
    """A use of an item inside a definition's bytes.

    ``width`` is the number of LEB128 bytes the input spent on it (kept, so that an over-long index
    is written back as it was); ``signed`` marks the SLEB33 form used where a type code could stand.
    """

    item: Item
    width: int = 1
    signed: bool = False


#: A definition's encoding: bytes kept as they were, with references in between.
Token: TypeAlias = bytes | memoryview | Ref

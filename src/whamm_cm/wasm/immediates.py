"""The values of an instruction's immediates.

Core specification 5.4 ("Instructions"); ``binary.instructions`` steps over the same immediates.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from whamm_cm.wasm.cursor import Cursor
from whamm_cm.wasm.instructions import (
    MEMARG_ALIGN,
    MEMARG_MEMORY,
    ORDERINGS,
    memarg_flags,
    memarg_ordering,
)
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.opcodes import Imm, Opcode
from whamm_cm.wasm.types import read_block_type, read_heap_type, read_val_type


class MemArg(NamedTuple):
    """A memory argument; ``align`` is the exponent.

    ``ordering`` is None where the encoding has none (which means sequentially consistent, 0); 1 is
    acquire-release, 0x11 that of a read and a write.
    """

    align: int
    offset: int
    memory: int
    ordering: int | None = None


class Catch(NamedTuple):
    """A catch clause of ``try_table``; ``tag`` is None for ``catch_all`` and ``catch_all_ref``."""

    kind: int
    tag: int | None
    label: int


class Handler(NamedTuple):
    """An on clause of ``resume``; ``label`` is None for ``(on tag switch)``."""

    tag: int
    label: int | None


class CastFlags(NamedTuple):
    """Nullability of the source and the target of ``br_on_cast``."""

    source: bool
    target: bool


Immediate: TypeAlias = (
    "int | float | str | bytes | MemArg | CastFlags | tuple[int, ...] | tuple[str, ...]"
    " | tuple[Catch, ...] | tuple[Handler, ...] | None"
)


def _memarg(kind: Imm) -> Callable[[Cursor], MemArg]:
    def read(cur: Cursor) -> MemArg:
        flags = memarg_flags(cur, kind)
        memory = cur.u32("a memory index") if flags & MEMARG_MEMORY else 0
        ordering = memarg_ordering(cur, flags, kind)
        return MemArg(flags & MEMARG_ALIGN, cur.u64("a memory offset"), memory, ordering)

    return read


def _labels(cur: Cursor) -> tuple[int, ...]:
    """The labels of ``br_table``; the last one is the default."""
    return tuple(cur.u32("a label") for _ in range(cur.count("label") + 1))


def _val_types(cur: Cursor) -> tuple[str, ...]:
    return tuple(read_val_type(cur) for _ in range(cur.count("value type")))


def _catch(cur: Cursor) -> Catch:
    kind = cur.u8("a catch clause")
    tag = cur.u32("a tag index") if kind < 2 else None
    return Catch(kind, tag, cur.u32("a label"))


def _catches(cur: Cursor) -> tuple[Catch, ...]:
    return tuple(_catch(cur) for _ in range(cur.count("catch clause")))


def _handler(cur: Cursor) -> Handler:
    kind = cur.u8("an on clause")
    tag = cur.u32("a tag index")
    return Handler(tag, None if kind else cur.u32("a label"))


def _handlers(cur: Cursor) -> tuple[Handler, ...]:
    return tuple(_handler(cur) for _ in range(cur.count("on clause")))


def _raw(size: int) -> Callable[[Cursor], bytes]:
    def read(cur: Cursor) -> bytes:
        start = cur.skip(size, "a constant")
        return bytes(cur.data[start : cur.pos])

    return read


def _float(form: str, size: int) -> Callable[[Cursor], float]:
    read = _raw(size)

    def value(cur: Cursor) -> float:
        found: float = struct.unpack(form, read(cur))[0]
        return found

    return value


def _cast(cur: Cursor) -> CastFlags:
    flags = cur.u8("cast flags")
    return CastFlags(bool(flags & 1), bool(flags & 2))


#: How each kind of immediate is read; kinds not named here are one u32.
_READ: dict[Imm, Callable[[Cursor], Immediate]] = dict.fromkeys(Imm, Cursor.u32) | {
    Imm.BLOCKTYPE: read_block_type,
    Imm.HEAPTYPE: read_heap_type,
    Imm.VALTYPES: _val_types,
    Imm.LABELS: _labels,
    **{kind: _memarg(kind) for kind in ORDERINGS},
    Imm.I32: Cursor.s32,
    Imm.I64: Cursor.s64,
    Imm.F32: _float("<f", 4),
    Imm.F64: _float("<d", 8),
    Imm.V128: _raw(16),
    Imm.LANE: Cursor.u8,
    Imm.LANES: _raw(16),
    Imm.CAST: _cast,
    Imm.CATCHES: _catches,
    Imm.HANDLERS: _handlers,
    Imm.ORDERING: Cursor.u8,
}


def read_immediates(cur: Cursor, opcode: Opcode) -> tuple[Immediate, ...]:
    """The immediates of ``opcode``, whose first byte the cursor is at."""
    cur.pos += 1
    if opcode.prefix:
        cur.u32("an opcode")
    return tuple(_READ[kind](cur) for kind in opcode.immediates)


def immediates(module: CoreModule, pos: int, opcode: Opcode) -> tuple[Immediate, ...]:
    """The values of the immediates of the instruction at ``pos`` in ``module``'s bytes.

    One per kind of ``opcode.immediates``: indices, labels and counts are ints, constants ints,
    floats and bytes (v128), types text, memory arguments and clauses the records above; a vector
    of labels ends with the default.  Raises DecodeError for malformed ones.
    """
    end = len(module.data)
    return read_immediates(Cursor(module.data, pos, end, module.offset, module.path), opcode)

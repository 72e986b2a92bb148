"""Where instructions hold indices: the places to rewrite when an index space is renumbered.

The spaces are those of core specification 2.5.1 but for locals, labels and fields, each named by
the kind of immediate that is an index into it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from whamm_cm.wasm.cursor import Buffer, Cursor
from whamm_cm.wasm.instructions import (
    MEMARG_MEMORY,
    ORDERINGS,
    memarg_flags,
    memarg_ordering,
    skip_immediate,
)
from whamm_cm.wasm.leb import signed, unsigned
from whamm_cm.wasm.opcodes import Imm, Opcode
from whamm_cm.wasm.types import read_heap_type, read_val_type

#: Old index → new index.
IndexMap: TypeAlias = Callable[[int], int]
#: How a place is rewritten: its bytes and the map → its new bytes, as long as before if they can.
Form: TypeAlias = Callable[[bytes, IndexMap], bytes]
#: (start, end, space, form) of one place.
Ref: TypeAlias = tuple[int, int, Imm, Form]

SPACES = frozenset(
    (Imm.TYPE, Imm.FUNC, Imm.TABLE, Imm.MEMORY, Imm.GLOBAL, Imm.TAG, Imm.ELEM, Imm.DATA)
)

#: The spaces that kinds of immediates may refer to, for those that are not an index themselves.
NESTED: dict[Imm, Imm] = {
    Imm.BLOCKTYPE: Imm.TYPE,
    Imm.HEAPTYPE: Imm.TYPE,
    Imm.VALTYPES: Imm.TYPE,
    **dict.fromkeys(ORDERINGS, Imm.MEMORY),
    Imm.CATCHES: Imm.TAG,
    Imm.HANDLERS: Imm.TAG,
}


def index_of(raw: bytes) -> int:
    """The index at a place whose form is :func:`index_form` or :func:`heap_form`."""
    return sum((byte & 0x7F) << 7 * position for position, byte in enumerate(raw))


def index_form(raw: bytes, to: IndexMap) -> bytes:
    """A u32."""
    return unsigned(to(index_of(raw)), len(raw))


def heap_form(raw: bytes, to: IndexMap) -> bytes:
    """An s33 that is not negative."""
    return signed(to(index_of(raw)), len(raw))


def memarg_form(raw: bytes, to: IndexMap) -> bytes:
    """The flags of a memory argument without a memory index: memory 0 is meant."""
    memory = to(0)
    return unsigned(index_of(raw) | MEMARG_MEMORY, len(raw)) + unsigned(memory) if memory else raw


class Recorder:
    """Reads what holds indices at a cursor and keeps where they are in ``refs``."""

    __slots__ = ("cur", "refs")

    def __init__(self, cur: Cursor) -> None:
        self.cur = cur
        self.refs: list[Ref] = []

    def index(self, space: Imm) -> int:
        start = self.cur.pos
        value = self.cur.u32(f"a {space.value} index")
        self.refs.append((start, self.cur.pos, space, index_form))
        return value

    def type_index(self, cur: Cursor, is_signed: bool) -> int:
        """A ``core_types.TypeIndex``."""
        if not is_signed:
            return self.index(Imm.TYPE)
        start, value = cur.pos, cur.s33("a type index")
        if value < 0:
            raise cur.error("negative type index", start)
        self.refs.append((start, cur.pos, Imm.TYPE, heap_form))
        return value

    def immediate(self, kind: Imm) -> None:
        walk = _WALK.get(kind)
        if walk is not None:
            walk(self)
        elif kind.is_memarg:
            self.memarg(kind)
        elif kind in SPACES:
            self.index(kind)
        else:
            skip_immediate(self.cur, kind)

    def _block_type(self) -> None:
        byte = self.cur.peek("a block type")
        if byte == 0x40:
            self.cur.pos += 1
        elif byte & 0xC0 == 0x40:
            read_val_type(self.cur, self.type_index)
        else:
            self.type_index(self.cur, True)

    def _val_types(self) -> None:
        for _ in range(self.cur.count("value type")):
            read_val_type(self.cur, self.type_index)

    def memarg(self, kind: Imm) -> None:
        cur, start = self.cur, self.cur.pos
        flags = memarg_flags(cur, kind)
        if flags & MEMARG_MEMORY:
            self.index(Imm.MEMORY)
        else:
            self.refs.append((start, cur.pos, Imm.MEMORY, memarg_form))
        memarg_ordering(cur, flags, kind)
        cur.u64("a memory offset")

    def _catches(self) -> None:
        for _ in range(self.cur.count("catch clause")):
            if self.cur.u8("a catch clause") < 2:
                self.index(Imm.TAG)
            self.cur.u32("a label")

    def _handlers(self) -> None:
        for _ in range(self.cur.count("on clause")):
            kind = self.cur.u8("an on clause")
            self.index(Imm.TAG)
            if kind == 0:
                self.cur.u32("a label")


_WALK: dict[Imm, Callable[[Recorder], object]] = {
    Imm.BLOCKTYPE: Recorder._block_type,
    Imm.HEAPTYPE: lambda recorder: read_heap_type(recorder.cur, recorder.type_index),
    Imm.VALTYPES: Recorder._val_types,
    Imm.CATCHES: Recorder._catches,
    Imm.HANDLERS: Recorder._handlers,
}


def instruction_refs(data: Buffer, at: int, row: Opcode, end: int) -> list[Ref]:
    """Every place with an index in the (well-formed) instruction ``data[at:end]``."""
    recorder = Recorder(Cursor(data, at + 1, end))
    if row.prefix:
        recorder.cur.u32("an opcode")
    for kind in row.immediates:
        recorder.immediate(kind)
    return recorder.refs

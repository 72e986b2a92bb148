"""Walking instruction sequences without building anything: where each instruction ends.

This is the plain, readable walk, for expressions and single functions; it defines what the kernel
(:mod:`code`) must find.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from whamm_cm.wasm.cursor import Buffer, Cursor
from whamm_cm.wasm.opcodes import PLAIN, PREFIXED, Imm, Opcode
from whamm_cm.wasm.types import read_block_type, read_heap_type, read_val_type

MEMARG_MEMORY = 0x40  # bit 6: a memory index follows
MEMARG_ORDERING = 0x10  # bit 4: a memory ordering follows, behind the memory index
MEMARG_ALIGN = 0x0F
_ARRAY = 0x20  # bit 5: of multibyte array access, whose type index is not told from a memory's here


def _labels(cur: Cursor) -> None:
    for _ in range(cur.count("label")):
        cur.u32("a label")
    cur.u32("the default label")


#: What each kind of memory argument allows as its ordering: sequentially consistent, and
#: acquire-release (of the read in the low, of the write in the high half).
ORDERINGS: dict[Imm, tuple[int, ...]] = {Imm.MEMARG: (), Imm.ATOMIC: (0, 1), Imm.RMW: (0, 0x11)}


def memarg_flags(cur: Cursor, kind: Imm) -> int:
    """Alignment and flags of a memory argument of that kind, without any that are not known."""
    start, flags = cur.pos, cur.u32("a memory argument")
    if flags & ~(MEMARG_MEMORY | MEMARG_ORDERING | MEMARG_ALIGN):
        why = " (multibyte array access)" if flags & _ARRAY else ""
        raise cur.error(f"unknown memory argument flags 0x{flags:x}{why}", start)
    if flags & MEMARG_ORDERING and not ORDERINGS[kind]:
        raise cur.error(f"memory argument flags 0x{flags:x} of an instruction without order", start)
    return flags


def memarg_ordering(cur: Cursor, flags: int, kind: Imm) -> int | None:
    """The ordering that follows flags and memory index; None (which means 0) for none."""
    if not flags & MEMARG_ORDERING:
        return None
    ordering = cur.u8("a memory ordering")
    if ordering not in ORDERINGS[kind]:
        raise cur.error(f"memory ordering is 0x{ordering:02x}", cur.pos - 1)
    return ordering


def _memarg(kind: Imm) -> Callable[[Cursor], None]:
    def skip(cur: Cursor) -> None:
        flags = memarg_flags(cur, kind)
        if flags & MEMARG_MEMORY:
            cur.u32("a memory index")
        memarg_ordering(cur, flags, kind)
        cur.u64("a memory offset")

    return skip


def _valtypes(cur: Cursor) -> None:
    for _ in range(cur.count("value type")):
        read_val_type(cur)


def _catches(cur: Cursor) -> None:
    for _ in range(cur.count("catch clause")):
        kind = cur.u8("a catch clause")
        if kind > 3:
            raise cur.error(f"unknown catch clause 0x{kind:02x}", cur.pos - 1)
        if kind < 2:  # catch and catch_ref name a tag, catch_all and catch_all_ref do not
            cur.u32("a tag index")
        cur.u32("a label")


def _handlers(cur: Cursor) -> None:
    for _ in range(cur.count("on clause")):
        kind = cur.u8("an on clause")
        if kind > 1:
            raise cur.error(f"unknown on clause 0x{kind:02x}", cur.pos - 1)
        cur.u32("a tag index")
        if kind == 0:  # (on tag label); 1 is (on tag switch)
            cur.u32("a label")


def _below(limit: int, what: str) -> Callable[[Cursor], None]:
    def skip(cur: Cursor) -> None:
        value = cur.u8(what)
        if value >= limit:
            raise cur.error(f"{what} is 0x{value:02x}", cur.pos - 1)

    return skip


def _bytes(size: int, what: str) -> Callable[[Cursor], object]:
    return lambda cur: cur.skip(size, what)


#: How to step over each kind of immediate; kinds not named here are one u32.
_SKIP: dict[Imm, Callable[[Cursor], object]] = dict.fromkeys(Imm, Cursor.u32) | {
    Imm.BLOCKTYPE: read_block_type,
    Imm.HEAPTYPE: read_heap_type,
    Imm.VALTYPES: _valtypes,
    Imm.LABELS: _labels,
    **{kind: _memarg(kind) for kind in ORDERINGS},
    Imm.I32: Cursor.s32,
    Imm.I64: Cursor.s64,
    Imm.F32: _bytes(4, "f32 constant"),
    Imm.F64: _bytes(8, "f64 constant"),
    Imm.V128: _bytes(16, "v128 constant"),
    Imm.LANE: Cursor.u8,
    Imm.LANES: _bytes(16, "lanes"),
    Imm.CAST: _below(4, "cast flags"),
    Imm.CATCHES: _catches,
    Imm.HANDLERS: _handlers,
    Imm.ORDERING: _below(2, "memory ordering"),
}


def skip_immediate(cur: Cursor, kind: Imm) -> None:
    """Move the cursor past one immediate of that kind."""
    _SKIP[kind](cur)


_Step = tuple[Opcode, tuple[Callable[[Cursor], object], ...]]


def _step_of(row: Opcode) -> _Step:
    return row, tuple(_SKIP[kind] for kind in row.immediates)


_PLAIN_STEPS = tuple(row and _step_of(row) for row in PLAIN)
_PREFIXED_STEPS = {
    prefix: {number: _step_of(row) for number, row in rows.items()}
    for prefix, rows in PREFIXED.items()
}


def _prefixed(cur: Cursor, prefix: int) -> _Step:
    start, steps = cur.pos - 1, _PREFIXED_STEPS.get(prefix)
    if steps is None:
        raise cur.error(f"unknown opcode 0x{prefix:02x}", start)
    number = cur.u32("an opcode")
    found = steps.get(number)
    if found is None:
        raise cur.error(f"unknown opcode 0x{prefix:02x} 0x{number:02x}", start)
    return found


def _step(cur: Cursor) -> Opcode:
    """Move the cursor past one instruction and return its row."""
    byte = cur.u8("an instruction")
    row, skips = _PLAIN_STEPS[byte] or _prefixed(cur, byte)
    for skip in skips:
        skip(cur)
    return row


def scan(
    data: Buffer, start: int, end: int, *, offset: int = 0, path: str = ""
) -> Iterator[tuple[int, Opcode, int]]:
    """Yield (position, opcode, end of its immediates) of every instruction in ``data[start:end]``.

    Raises DecodeError (at ``offset`` + position, under ``path``) for an unknown opcode and for
    immediates that are malformed or run past ``end``.  Nesting is not looked at.
    """
    cur = Cursor(data, start, end, offset, path)
    while cur.pos < end:
        at = cur.pos
        row = _step(cur)
        yield at, row, cur.pos


def skip_expr_at(cur: Cursor) -> None:
    """Move the cursor past the ``end`` that closes the expression it is at."""
    for _ in expr_steps(cur):
        pass


def expr_steps(cur: Cursor) -> Iterator[tuple[int, Opcode, int]]:
    """Every instruction of the expression the cursor is at, which it moves past."""
    depth = 1
    while depth:
        at = cur.pos
        row = _step(cur)
        depth += row.nesting
        yield at, row, cur.pos

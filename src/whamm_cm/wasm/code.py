"""Code by the megabyte: what :mod:`instructions` says one by one, found by the kernel at once.

Both read the same table of opcodes, and tests compare them.  Errors are those of
:func:`instructions.scan`.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import groupby, islice
from typing import TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.kernel import layout
from whamm_cm.kernel.engine import Kernel
from whamm_cm.kernel.layout import Role, Shape, Space
from whamm_cm.wasm.cursor import Buffer
from whamm_cm.wasm.opcodes import OPCODES, Imm, Opcode

#: One instruction: position, opcode, end of its immediates.
Found: TypeAlias = tuple[int, Opcode, int]
#: Where code begins and ends.
Span: TypeAlias = tuple[int, int]

#: How kinds of immediates are read; others are one u32.
_SHAPES: dict[Imm, Shape] = {
    Imm.BLOCKTYPE: Shape.BLOCKTYPE, Imm.HEAPTYPE: Shape.HEAPTYPE, Imm.VALTYPES: Shape.VALTYPES,
    Imm.LABELS: Shape.LABELS, Imm.MEMARG: Shape.MEMARG, Imm.ATOMIC: Shape.ATOMIC,
    Imm.RMW: Shape.RMW, Imm.I32: Shape.I32, Imm.I64: Shape.I64, Imm.F32: Shape.F32,
    Imm.F64: Shape.F64, Imm.V128: Shape.V128, Imm.LANE: Shape.LANE, Imm.LANES: Shape.LANES,
    Imm.CAST: Shape.CAST, Imm.CATCHES: Shape.CATCHES, Imm.HANDLERS: Shape.HANDLERS,
    Imm.ORDERING: Shape.ORDERING,
}  # fmt: skip
#: Index spaces by the kind of immediate that is an index into them.
SPACES: dict[Imm, Space] = {
    Imm.TYPE: Space.TYPE, Imm.FUNC: Space.FUNC, Imm.TABLE: Space.TABLE, Imm.MEMORY: Space.MEMORY,
    Imm.GLOBAL: Space.GLOBAL, Imm.TAG: Space.TAG, Imm.ELEM: Space.ELEM, Imm.DATA: Space.DATA,
}  # fmt: skip
_ROLES: dict[str, Role] = {
    "block": Role.BLOCK, "loop": Role.LOOP, "if": Role.IF, "try": Role.TRY,
    "try_table": Role.TRY_TABLE, "else": Role.ELSE, "catch": Role.CATCH, "catch_all": Role.CATCH,
    "end": Role.END, "delegate": Role.DELEGATE, "br": Role.GOING_BRANCH,
    "br_table": Role.GOING_BRANCH, "return": Role.GOING, "unreachable": Role.GOING,
    "throw": Role.GOING, "rethrow": Role.GOING, "throw_ref": Role.GOING,
    "return_call": Role.GOING, "return_call_indirect": Role.GOING, "return_call_ref": Role.GOING,
    "call": Role.CALL, "call_indirect": Role.CALL, "call_ref": Role.CALL, "suspend": Role.CALL,
    "switch": Role.CALL, "resume": Role.CALL_BRANCH, "resume_throw": Role.CALL_BRANCH,
    "resume_throw_ref": Role.CALL_BRANCH,
}  # fmt: skip
#: Their labels name what is thrown on or delegated to, no place to go on at.
_NO_BRANCH = frozenset(("rethrow", "delegate"))
_BRANCHING = frozenset((Imm.LABEL, Imm.LABELS, Imm.CATCHES, Imm.HANDLERS))

#: The place of each row in the table, which is its number in the kernel.
NUMBERS: dict[Opcode, int] = {row: number for number, row in enumerate(OPCODES)}


def _row(row: Opcode) -> layout.Row:
    branches = not _BRANCHING.isdisjoint(row.immediates) and row.mnemonic not in _NO_BRANCH
    role = _ROLES.get(row.mnemonic, Role.BRANCH if branches else Role.NONE)
    label = Space.NO_BRANCH if row.mnemonic in _NO_BRANCH else Space.LABEL
    spaces = {**SPACES, Imm.LABEL: label}
    pairs = [(_SHAPES.get(k, Shape.U32), spaces.get(k, Space.NONE)) for k in row.immediates]
    return layout.Row(row.prefix, row.code, tuple(pairs), role)


@cache
def _table() -> bytes:
    return layout.opcode_table(map(_row, OPCODES))


def kernel() -> Kernel:
    """An instance of the kernel that knows the opcodes."""
    return Kernel(_table())


def flags_of(wanted: Iterable[Opcode] | None, by_immediates: Iterable[Opcode] = ()) -> bytes:
    """Which rows to find (None: all), and whose instructions differ by their immediates, too."""
    flags = bytearray(layout.MAX_ROWS)
    for row in OPCODES if wanted is None else wanted:
        flags[NUMBERS[row]] |= layout.WANTED
    for row in by_immediates:
        flags[NUMBERS[row]] |= layout.WANTED | layout.BY_IMMEDIATES
    return bytes(flags)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Code in the memory of a kernel: ``data[low:]`` is at ``at``."""

    kernel: Kernel
    at: int
    low: int

    @classmethod
    def of(cls, data: Buffer, low: int, high: int) -> Loaded:
        """``data[low:high]`` in a kernel of its own."""
        inside = kernel()
        return cls(inside, inside.put(data[low:high]), low)

    @property
    def moved(self) -> int:
        """What makes an address of a position."""
        return self.at - self.low

    def entries(self, end: int, count: int) -> int | None:
        """The address of what the entries up to ``end`` are, ``layout.FUNCTION_WORDS`` each; None
        when they are malformed."""
        inside, at = self.kernel, self.kernel.take(4 * layout.FUNCTION_WORDS * count)
        done = inside.run("entries", self.at, end + self.moved, at, count, self.moved)
        return at if done else None


@dataclass(frozen=True, slots=True, eq=False)
class Instructions:
    """Columns of instructions in order: which span, position, end, row number, number in the span.

    ``alike``: which of ``groups`` each is one of; ``groups``: an instruction of each.
    """

    spans: array[int]
    starts: array[int]
    ends: array[int]
    rows: array[int]
    opidxs: array[int]
    alike: array[int]
    groups: tuple[Found, ...]

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[Found]:
        return zip(self.starts, map(OPCODES.__getitem__, self.rows), self.ends, strict=True)

    def by_span(self) -> Iterator[tuple[int, list[Found]]]:
        """The instructions of each span that has some."""
        found = iter(self)
        for span, same in groupby(self.spans):
            yield span, list(islice(found, len(list(same))))


def find(
    data: Buffer,
    spans: Sequence[Span],
    wanted: Iterable[Opcode] | None = None,
    *,
    by_immediates: Iterable[Opcode] = (),
    offset: int = 0,
    path: str | Sequence[str] = "",
) -> Instructions:
    """Every instruction of ``wanted`` (None: all) in the code at ``spans`` of ``data``.

    Instructions of the same row are alike, of ``by_immediates`` only if their immediates have the
    same bytes.  DecodeError as of :func:`instructions.scan`, with the span's ``path``.
    """
    if not spans:
        empty: array[int] = array("I")
        return Instructions(empty, empty, empty, empty, empty, empty, ())
    low, high = min(start for start, _ in spans), max(end for _, end in spans)
    loaded = Loaded.of(data, low, max(low, high))
    inside, moved = loaded.kernel, loaded.moved
    flat = array("I", [place + moved for span in spans for place in span])
    flags = inside.put(flags_of(wanted, by_immediates))
    if not inside.run("scan", inside.put_words(flat), len(spans), flags, moved, 1):
        raise inside.error(offset - moved, path)
    at, count, groups, group_count = inside.struct("result", 4)
    raw = inside.get_words(at, count * layout.FOUND_WORDS)
    spans_, starts_, ends_, rows_, opidxs, which = (raw[n :: layout.FOUND_WORDS] for n in range(6))
    alike = inside.get_words(groups, group_count * layout.ALIKE_WORDS)
    rows, starts, ends = (alike[n :: layout.ALIKE_WORDS] for n in range(3))
    found = tuple(
        (start - moved, OPCODES[row], end - moved)
        for start, row, end in zip(starts, rows, ends, strict=True)
    )
    return Instructions(spans_, starts_, ends_, rows_, opidxs, which, found)

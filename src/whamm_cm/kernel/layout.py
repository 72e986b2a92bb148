"""Numbers that the kernel and its callers share; ``read.h``, ``scan.h`` and ``write.h`` have the
same, and a test compares."""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Shape(enum.IntEnum):
    """How an immediate is read (``K_`` in C)."""

    U32 = 0
    BLOCKTYPE = 1
    HEAPTYPE = 2
    VALTYPES = 3
    LABELS = 4
    MEMARG = 5
    ATOMIC = 6
    RMW = 7
    I32 = 8
    I64 = 9
    F32 = 10
    F64 = 11
    V128 = 12
    LANE = 13
    LANES = 14
    CAST = 15
    CATCHES = 16
    HANDLERS = 17
    ORDERING = 18


class Space(enum.IntEnum):
    """What an index is one of (``S_``).  Labels name a block around the instruction; those of
    NO_BRANCH no place to go on at."""

    NONE = 0
    TYPE = 1
    FUNC = 2
    TABLE = 3
    MEMORY = 4
    GLOBAL = 5
    TAG = 6
    ELEM = 7
    DATA = 8
    NO_BRANCH = 0xFE
    LABEL = 0xFF


class Role(enum.IntEnum):
    """What an instruction does to control (``R_``).  GOING: the next one does not run."""

    NONE = 0
    BLOCK = 1
    LOOP = 2
    IF = 3
    TRY = 4
    TRY_TABLE = 5
    ELSE = 6
    CATCH = 7
    END = 8
    DELEGATE = 9
    BRANCH = 10
    GOING_BRANCH = 11
    GOING = 12
    CALL = 13
    GOING_CALL = 14
    CALL_BRANCH = 15


class Part(enum.IntEnum):
    """Parts of templates (``PART_``): bytes, or a hole of that encoding."""

    END = 0
    BYTES = 1
    U32 = 2
    I32 = 3
    I64 = 4
    F32 = 5
    F64 = 6
    SPOT_U32 = 7
    SPOT_I32 = 8


class Step(enum.IntEnum):
    """Steps of plans (``STEP_``), which ``draft.h`` explains."""

    END = 0
    ADD = 1
    COUNT = 2
    CELL = 3
    OUTER = 4
    PUT = 5


class From(enum.IntEnum):
    """Where an argument of a template comes from (``FROM_``)."""

    CONST = 0
    LOCAL = 1
    KEPT = 2
    PC = 3
    FID = 4
    OPIDX = 5


class Do(enum.IntEnum):
    """What is done in a function (``DO_``)."""

    END = 0
    INSERT = 1
    GO = 2
    STOP = 3


#: Flags of rows that are looked for.
WANTED, BY_IMMEDIATES = 1, 2
#: Kinds of index maps: none, indices from ``first`` on move up, a table.
MAP_NONE, MAP_SHIFT, MAP_TABLE = 0, 1, 2
#: Words of a found instruction, of a group of alike ones, of a function to be written, of one to be
#: drafted.
FOUND_WORDS, ALIKE_WORDS, FUNCTION_WORDS, TARGET_WORDS = 8, 4, 9, 5
#: Words of a function: where its locals, its code begin, where it ends, where its draft is, where
#: the groups of locals begin, how many locals they are.
START, CODE, END, FUNCTION_DRAFT, GROUPS, DECLARED = 1, 2, 3, 4, 7, 8
#: Most types of locals, cells kept at a site, classes of counters, variables.
MAX_KINDS, MAX_KEPT, MAX_CLASSES, MAX_VARIABLES = 16, 64, 4096, 4096
MAX_ROWS, _PREFIX_FIRST, _PREFIXES, _PREFIXED, _NO_ROW = 1024, 0xFB, 4, 512, 0xFFFF
_ROW = struct.Struct("<10B")


class Row(NamedTuple):
    """An opcode: its immediates as (shape, space) pairs, four at most."""

    prefix: int
    code: int
    immediates: tuple[tuple[Shape, Space], ...]
    role: Role


def opcode_table(rows: Iterable[Row]) -> bytes:
    """The table of opcodes as the kernel has it; a row's number is its place in ``rows``."""
    plain = [_NO_ROW] * 256
    prefixed = [[_NO_ROW] * _PREFIXED for _ in range(_PREFIXES)]
    packed = []
    for number, row in enumerate(rows):
        codes = prefixed[row.prefix - _PREFIX_FIRST] if row.prefix else plain
        codes[row.code] = number
        pairs = [*row.immediates, *[(0, 0)] * (4 - len(row.immediates))]
        shapes, spaces = zip(*pairs, strict=True)
        packed.append(_ROW.pack(len(row.immediates), row.role, *shapes, *spaces))
    numbers = [*plain, *(number for codes in prefixed for number in codes)]
    return struct.pack(f"<{len(numbers)}H", *numbers) + b"".join(packed)


def c_numbers() -> Mapping[str, int]:
    """Every number here by its name in C."""
    found = {}
    for prefix, kind in (
        ("K", Shape), ("S", Space), ("R", Role), ("PART", Part), ("DO", Do), ("STEP", Step),
        ("FROM", From),
    ):  # fmt: skip
        found.update({f"{prefix}_{one.name}": int(one) for one in kind})
    return found | {
        "MAP_SHIFT": MAP_SHIFT,
        "MAP_TABLE": MAP_TABLE,
        "WANTED": WANTED,
        "BY_IMMEDIATES": BY_IMMEDIATES,
        "ROWS": MAX_ROWS,
    }

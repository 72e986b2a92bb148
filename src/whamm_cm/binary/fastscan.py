"""Finding instructions fast: the opcode table as one regular expression over bytes.

A match runs over every instruction that is not wanted and ends behind the first one that is.  What
the expression does not know (long ``br_table``, ``try_table``, vectors, padded opcode numbers,
malformed code) ends the run of matches; :func:`instructions.scan` steps over that one instruction,
or raises what it always raises.  So both scanners agree by construction, and tests say so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TypeAlias

from whamm_cm.binary.core_types import read_block_type, read_heap_type, read_val_type
from whamm_cm.binary.cursor import Buffer, Cursor
from whamm_cm.binary.instructions import ORDERINGS, scan
from whamm_cm.binary.opcodes import OPCODES, PLAIN, PREFIXED, Imm, Opcode
from whamm_cm.binary.refs import (
    NESTED,
    Form,
    Ref,
    index_form,
    instruction_refs,
    memarg_form,
    spaces_of,
)
from whamm_cm.errors import DecodeError

#: One instruction that was found: position, opcode, end of its immediates.
Found: TypeAlias = tuple[int, Opcode, int]

# Python before 3.11.5 restores the position wrongly when a possessive repeat ends within an
# alternative.  A greedy one means the same here, because what follows it always matches.
_fixed = re.match(rb"(?:ab?c)*+", b"aca")
REPEAT = b"*+" if _fixed and _fixed.end() == 0 else b"*"


def _leb(longest: int, last: bytes, short: bytes = rb"[\x00-\x7f]") -> bytes:
    """A LEB128 integer of at most ``longest`` bytes; ``last``: what that last byte may be."""
    return rb"[\x80-\xff]{0,%d}+(?:%s|[\x80-\xff]%s)" % (longest - 2, short, last)


_U32 = _leb(5, rb"[\x00-\x0f]")
_U64 = _leb(10, rb"[\x00\x01]")
_INDEX33 = _leb(5, rb"[\x00-\x0f]", rb"[\x00-\x3f]")  # a non-negative s33


def _class(values: Iterable[int]) -> bytes:
    return b"[%s]" % b"".join(rb"\x%02x" % value for value in values)


def _alone(read: Callable[[Cursor], object]) -> bytes:
    """The bytes that are a whole immediate, index-free, by themselves."""

    def refuse(at: Cursor) -> bool:
        try:
            return isinstance(read(at), int) or at.left > 0
        except DecodeError:
            return True

    negative = range(0x40, 0x80)  # others are indices
    return _class(byte for byte in negative if not refuse(Cursor(bytes((byte,)), 0, 1)))


_HEAP_TYPE = _alone(read_heap_type)
_VAL_TYPE = _alone(read_val_type)
_BLOCK_TYPE = _alone(read_block_type)
_REFERENCE = rb"[\x63\x64](?:%s|%s)" % (_HEAP_TYPE, _INDEX33)  # (ref …), (ref null …)

_FLAGS, _MEMORY = rb"[\x00-\x0f]", rb"[\x40-\x4f]" + _U32
_ORDERED, _ORDERED_MEMORY = rb"[\x10-\x1f]", rb"[\x50-\x5f]" + _U32


def _memarg(kind: Imm, named: bool = True) -> bytes:
    """A memory argument whose flags take one byte; only one without a memory index if not
    ``named``."""
    found = [_FLAGS, _MEMORY] if named else [_FLAGS]
    if ORDERINGS[kind]:
        ordering = _class(ORDERINGS[kind])
        found += (
            [_ORDERED + ordering, _ORDERED_MEMORY + ordering] if named else [_ORDERED + ordering]
        )
    return b"(?:%s)%s" % (b"|".join(found), _U64)


#: What matches an immediate; kinds not named here are one u32, None is left to the plain scanner.
_DEFAULT: dict[Imm, bytes | None] = dict.fromkeys(Imm, _U32)
_PATTERNS = _DEFAULT | {
    Imm.BLOCKTYPE: rb"(?:%s|%s|%s)" % (_BLOCK_TYPE, _INDEX33, _REFERENCE),
    Imm.HEAPTYPE: rb"(?:%s|%s)" % (_HEAP_TYPE, _INDEX33),
    Imm.VALTYPES: rb"\x01(?:%s|%s)" % (_VAL_TYPE, _REFERENCE),
    # Usual ones: fewer than 128 labels below 128, and the default.
    Imm.LABELS: b"(?:%s)" % b"|".join(rb"\x%02x[\x00-\x7f]{%d}" % (n, n + 1) for n in range(128)),
    **{kind: _memarg(kind) for kind in ORDERINGS},
    Imm.I32: _leb(5, rb"[\x00-\x07\x78-\x7f]"),
    Imm.I64: _leb(10, rb"[\x00\x7f]"),
    Imm.F32: rb"[\x00-\xff]{4}",
    Imm.F64: rb"[\x00-\xff]{8}",
    Imm.V128: rb"[\x00-\xff]{16}",
    Imm.LANE: rb"[\x00-\xff]",
    Imm.LANES: rb"[\x00-\xff]{16}",
    Imm.CAST: rb"[\x00-\x03]",
    Imm.CATCHES: None,
    Imm.HANDLERS: None,
    Imm.ORDERING: rb"[\x00\x01]",
}

#: The frequent shapes first: alternatives are tried in this order.
_FREQUENT = ("local", "", "i32", "memarg", "label", "func", "blocktype", "global", "i64")


def _rank(immediates: tuple[Imm, ...]) -> tuple[int, str]:
    name = " ".join(kind.value for kind in immediates)
    return (_FREQUENT.index(name) if name in _FREQUENT else len(_FREQUENT)), name


def _codes(prefix: int, rows: list[Opcode]) -> bytes:
    """The opcodes of ``rows``, which share a prefix; numbers from 128 take two bytes."""
    if not prefix:
        return _class(row.code for row in rows)
    by_high: dict[int, list[int]] = {}
    for row in rows:
        by_high.setdefault(row.code >> 7, []).append(row.code & 0x7F)
    found = [
        _class(code | 0x80 for code in low) + rb"\x%02x" % high if high else _class(low)
        for high, low in sorted(by_high.items())
    ]
    return rb"\x%02x(?:%s)" % (prefix, b"|".join(found))


#: Integers of these kinds are any byte below 0x80 when they are one byte long.
_ONE_BYTE = frozenset(kind for kind, pattern in _PATTERNS.items() if pattern == _U32) | {
    Imm.I32,
    Imm.I64,
}


def _alternatives(rows: Iterable[Opcode], patterns: Mapping[Imm, bytes | None]) -> list[bytes]:
    """One alternative per sequence of immediates' patterns, for the rows that have them all.

    Each begins with a class of bytes, by which ``re`` tells at once whether to try it.  Nearly all
    instructions are the first alternative's: one byte and a one-byte integer.
    """
    shapes: dict[tuple[int, bytes], list[Opcode]] = {}
    short = []
    for row in sorted(rows, key=lambda row: (row.prefix, *_rank(row.immediates))):
        parts = [patterns[kind] for kind in row.immediates]
        if None not in parts:
            shape = b"".join(part or b"" for part in parts)
            shapes.setdefault((row.prefix, shape), []).append(row)
            if not row.prefix and len(parts) == 1 and row.immediates[0] in _ONE_BYTE:
                short.append(row.code)
    found = [_codes(prefix, members) + shape for (prefix, shape), members in shapes.items()]
    return [_class(short) + rb"[\x00-\x7f]", *found] if short else found


def _compile(skipped: list[bytes], groups: list[bytes]) -> re.Pattern[bytes]:
    """Runs of ``skipped``, then one of ``groups`` or nothing; it matches anywhere."""
    run = b"(?:%s)%s" % (b"|".join(skipped), REPEAT) if skipped else b""
    return re.compile(run + b"(?:%s)" % b"|".join([*groups, b""]))


class Matcher:
    """Finds the instructions of a set of opcodes; made by :func:`matcher`."""

    __slots__ = ("pattern", "wanted")

    def __init__(self, wanted: frozenset[Opcode]) -> None:
        self.wanted = wanted
        skipped = _alternatives((row for row in OPCODES if row not in wanted), _PATTERNS)
        groups = _alternatives(wanted, _PATTERNS)
        self.pattern = _compile(skipped, [b"(%s)" % b"|".join(groups)] if groups else [])


@cache
def matcher(wanted: frozenset[Opcode]) -> Matcher:
    """The matcher of those opcodes; compiling one takes some milliseconds, so they are kept."""
    return Matcher(wanted)


def _opcode_at(data: Buffer, at: int) -> Opcode:
    """The row at ``at``, where the expression found a valid instruction."""
    row = PLAIN[data[at]]
    if row is not None:
        return row
    number = data[at + 1]
    if number >= 0x80:
        number = number & 0x7F | data[at + 2] << 7
    return PREFIXED[data[at]][number]


def find(
    data: Buffer,
    start: int,
    end: int,
    wanted: frozenset[Opcode] | Matcher,
    *,
    offset: int = 0,
    path: str = "",
) -> list[Found]:
    """(position, opcode, end) of every instruction of ``wanted`` in the code ``data[start:end]``.

    The same as filtering :func:`instructions.scan`, some times faster; raises DecodeError when and
    as that does.
    """
    chosen = wanted if isinstance(wanted, Matcher) else matcher(wanted)
    pattern, found = chosen.pattern, list[Found]()
    while start < end:
        for match in pattern.finditer(data, start, end):
            if not match.lastindex:
                start = match.end()
                break
            at, stop = match.span(1)
            found.append((at, PLAIN[data[at]] or _opcode_at(data, at), stop))
        if start < end:
            step = next(scan(data, start, end, offset=offset, path=path))
            if step[1] in chosen.wanted:
                found.append(step)
            start = step[2]
    return found


#: Immediates that name nothing of the space they could refer to.
_INDEX_FREE = {
    Imm.BLOCKTYPE: rb"(?:%s|[\x63\x64]%s)" % (_BLOCK_TYPE, _HEAP_TYPE),
    Imm.HEAPTYPE: _HEAP_TYPE,
    Imm.VALTYPES: rb"\x01(?:%s|[\x63\x64]%s)" % (_VAL_TYPE, _HEAP_TYPE),
}


class RefMatcher:
    """Finds indices into some index spaces; made by :func:`ref_matcher`.

    ``groups``: what the first groups of ``pattern`` are; the last one is a whole instruction.
    """

    __slots__ = ("groups", "pattern", "rows", "spaces")

    def __init__(self, spaces: frozenset[Imm], memory_zero: bool) -> None:
        self.spaces = spaces
        self.rows = frozenset(row for row in OPCODES if spaces & spaces_of(row))
        self.groups: list[tuple[Imm, Form]] = []
        alternatives = []
        for space in sorted(spaces, key=lambda space: space.value):
            codes = [r.code for r in self.rows if not r.prefix and r.immediates == (space,)]
            if codes:
                self.groups.append((space, index_form))
                alternatives.append(_class(sorted(codes)) + b"(%s)" % _U32)
        quiet: dict[Imm, bytes | None] = dict.fromkeys(spaces)
        quiet |= {kind: _INDEX_FREE.get(kind) for kind, to in NESTED.items() if to in spaces}
        if Imm.MEMORY in spaces and not memory_zero:
            quiet |= {kind: _memarg(kind, named=False) for kind in ORDERINGS}
        elif Imm.MEMORY in spaces:
            codes = [r.code for r in self.rows if not r.prefix and r.immediates == (Imm.MEMARG,)]
            self.groups.append((Imm.MEMORY, memarg_form))
            alternatives.append(_class(codes) + b"(%s)%s" % (_FLAGS, _U64))
        whole = b"|".join(_alternatives(self.rows, _PATTERNS))
        self.pattern = _compile(
            _alternatives(OPCODES, _PATTERNS | quiet), [*alternatives, b"(%s)" % whole]
        )


@cache
def ref_matcher(spaces: frozenset[Imm], memory_zero: bool = True) -> RefMatcher:
    """The matcher of indices into ``spaces`` (of ``refs.SPACES``, at least one).

    Without ``memory_zero``, memory arguments that name no memory are not reported.
    """
    return RefMatcher(spaces, memory_zero)


def find_refs(
    data: Buffer,
    start: int,
    end: int,
    wanted: frozenset[Imm] | RefMatcher,
    *,
    offset: int = 0,
    path: str = "",
) -> list[Ref]:
    """(start, end, space, form) of every index into the wanted spaces in ``data[start:end]``.

    In order of position; raises DecodeError as :func:`instructions.scan` does.
    """
    chosen = wanted if isinstance(wanted, RefMatcher) else ref_matcher(wanted)
    groups, spaces, found = chosen.groups, chosen.spaces, list[Ref]()
    while start < end:
        for match in chosen.pattern.finditer(data, start, end):
            group = match.lastindex
            if not group:
                start = match.end()
                break
            at, stop = match.span(group)
            if group <= len(groups):
                found.append((at, stop, *groups[group - 1]))
            else:
                refs = instruction_refs(data, at, _opcode_at(data, at), stop)
                found += [ref for ref in refs if ref[2] in spaces]
        if start < end:
            at, row, start = next(scan(data, start, end, offset=offset, path=path))
            if row in chosen.rows:
                found += [r for r in instruction_refs(data, at, row, start) if r[2] in spaces]
    return found

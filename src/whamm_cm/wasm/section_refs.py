"""Where the sections of a core module hold indices, and where their entries begin and end."""

from __future__ import annotations

from collections.abc import Callable, Collection

from whamm_cm.dataclass import dataclass
from whamm_cm.wasm.cursor import Cursor
from whamm_cm.wasm.instructions import expr_steps
from whamm_cm.wasm.leb import name_bytes, unsigned
from whamm_cm.wasm.opcodes import Imm
from whamm_cm.wasm.refs import SPACES, IndexMap, Recorder, Ref, index_of, instruction_refs
from whamm_cm.wasm.sections import SECTION_NAMES, SectionId
from whamm_cm.wasm.types import (
    REC,
    read_extern_type,
    read_global_type,
    read_kind,
    read_ref_type,
    read_subtype,
    read_table_type,
    read_tag_type,
)

_COMPACT_TYPES, _COMPACT_NAMES = 0x7F, 0x7E


@dataclass(frozen=True, slots=True)
class Entries:
    """``spans`` of the entries of a section, which begin at ``first``; ``refs`` inside of them."""

    first: int
    spans: tuple[tuple[int, int], ...]
    refs: tuple[Ref, ...]


@dataclass(frozen=True, slots=True)
class ImportEntry:
    """An import: its names as written (both with their length) and its type at ``start:end``."""

    names: bytes
    kind: str
    start: int
    end: int
    refs: tuple[Ref, ...]


def _implied_table(raw: bytes, to: IndexMap) -> bytes:
    """The flags of an active element segment of table 0, without bit 1."""
    table = to(0)
    return unsigned(index_of(raw) | 2, len(raw)) + unsigned(table) if table else raw


def _implied_memory(raw: bytes, to: IndexMap) -> bytes:
    """The flags (0) of an active data segment of memory 0."""
    memory = to(0)
    return b"\2" + unsigned(memory) if memory else raw


def _implied_kind(raw: bytes, to: IndexMap) -> bytes:
    """Nothing, or ``func``, the kind of element, where the table is no longer implied."""
    return b"\0" if to(0) else raw


def _implied_type(raw: bytes, to: IndexMap) -> bytes:
    """Nothing, or ``funcref``, the element type, where the table is no longer implied."""
    return b"\x70" if to(0) else raw


def _expr(recorder: Recorder) -> None:
    for at, row, end in expr_steps(recorder.cur):
        recorder.refs += instruction_refs(recorder.cur.data, at, row, end)


def _type(recorder: Recorder) -> None:
    cur = recorder.cur
    count = 1
    if cur.peek("a type") == REC:
        cur.pos += 1
        count = cur.count("member")
    for _ in range(count):
        read_subtype(cur, 0, recorder.type_index)


def _table(recorder: Recorder) -> None:
    cur = recorder.cur
    initialised = cur.peek("a table") == 0x40
    if initialised:
        cur.pos += 1
        if cur.u8("a table"):
            raise cur.error("unknown table encoding", cur.pos - 1)
    read_table_type(cur, recorder.type_index)
    if initialised:
        _expr(recorder)


def _global(recorder: Recorder) -> None:
    read_global_type(recorder.cur, recorder.type_index)
    _expr(recorder)


def _export(recorder: Recorder) -> None:
    recorder.cur.name("export name")
    recorder.index(Imm(read_kind(recorder.cur)))


def _expressions(recorder: Recorder) -> None:
    for _ in range(recorder.cur.count("item")):
        _expr(recorder)


def _functions(recorder: Recorder) -> None:
    for _ in range(recorder.cur.count("item")):
        recorder.index(Imm.FUNC)


def _element_alone(recorder: Recorder) -> None:
    """Without the indices of functions."""
    _element(recorder, lambda recorder: recorder.cur.u32s("item", "a func index"))


def _element(recorder: Recorder, functions: Callable[[Recorder], object] = _functions) -> None:
    """Flags: 1 not active, 2 explicit table (active) or declared, 4 expressions, not indices."""
    cur, start = recorder.cur, recorder.cur.pos
    flags = cur.u32("element flags")
    if flags > 7:
        raise cur.error(f"unknown element flags 0x{flags:x}", start)
    if not flags & 1:
        if flags & 2:
            recorder.index(Imm.TABLE)
        else:
            recorder.refs.append((start, cur.pos, Imm.TABLE, _implied_table))
        _expr(recorder)
        if not flags & 2:
            form = _implied_type if flags & 4 else _implied_kind
            recorder.refs.append((cur.pos, cur.pos, Imm.TABLE, form))
    if flags & 3 and flags & 4:
        read_ref_type(cur, recorder.type_index)
    elif flags & 3:
        cur.u8("an element kind")
    if flags & 4:
        _expressions(recorder)
    else:
        functions(recorder)


def _data(recorder: Recorder) -> None:
    cur, start = recorder.cur, recorder.cur.pos
    flags = cur.u32("data flags")
    if flags > 2:
        raise cur.error(f"unknown data flags 0x{flags:x}", start)
    if flags == 0:
        recorder.refs.append((start, cur.pos, Imm.MEMORY, _implied_memory))
    elif flags == 2:
        recorder.index(Imm.MEMORY)
    if flags != 1:
        _expr(recorder)
    cur.skip(cur.u32("a length"), "data segment")


_ENTRY: dict[int, Callable[[Recorder], object]] = {
    SectionId.TYPE: _type,
    SectionId.FUNCTION: lambda recorder: recorder.index(Imm.TYPE),
    SectionId.TABLE: _table,
    SectionId.TAG: lambda recorder: read_tag_type(recorder.cur, recorder.type_index),
    SectionId.GLOBAL: _global,
    SectionId.EXPORT: _export,
    SectionId.ELEMENT: _element,
    SectionId.DATA: _data,
}


def refers(number: int, spaces: Collection[Imm]) -> bool:
    """Whether an element, data, table or global section may hold an index into one of them."""
    return number == SectionId.ELEMENT or not {Imm.TABLE, Imm.TAG, Imm.ELEM}.issuperset(spaces)


def read_entries(cur: Cursor, number: int, spaces: Collection[Imm] = SPACES) -> Entries:
    """The entries of a type, function, table, tag, global, export, element or data section.  The
    indices of functions in an element section, of which there are many, are left out unless they
    are among the ``spaces`` asked for."""
    if number == SectionId.ELEMENT and Imm.FUNC not in spaces:
        return _read_entries(cur, number, _element_alone)
    return _read_entries(cur, number, _ENTRY[number])


def _read_entries(cur: Cursor, number: int, entry: Callable[[Recorder], object]) -> Entries:
    recorder, spans = Recorder(cur), list[tuple[int, int]]()
    count = cur.count("entry")
    first = cur.pos
    for _ in range(count):
        start = cur.pos
        entry(recorder)
        spans.append((start, cur.pos))
    cur.finish(f"{SECTION_NAMES[number]} section")
    return Entries(first, tuple(spans), tuple(recorder.refs))


def _import(cur: Cursor, names: bytes) -> ImportEntry:
    recorder, start = Recorder(cur), cur.pos
    kind = read_extern_type(cur, recorder.type_index)[0]
    return ImportEntry(names, kind, start, cur.pos, tuple(recorder.refs))


def read_import_entries(cur: Cursor) -> tuple[ImportEntry, ...]:
    """The imports one by one, also those in compact form."""
    found: list[ImportEntry] = []
    for _ in range(cur.count("import")):
        module, name = cur.name("module name"), cur.name("import name")
        lead, form = name_bytes(module), cur.peek("a kind") if not name else None
        if form not in (_COMPACT_TYPES, _COMPACT_NAMES):
            found.append(_import(cur, lead + name_bytes(name)))
            continue
        cur.pos += 1
        shared = _import(cur, b"") if form == _COMPACT_NAMES else None
        for _ in range(cur.count("item")):
            names = lead + name_bytes(cur.name("import name"))
            if shared is None:
                found.append(_import(cur, names))
            else:
                kind, start, end, refs = shared.kind, shared.start, shared.end, shared.refs
                found.append(ImportEntry(names, kind, start, end, refs))
    return tuple(found)

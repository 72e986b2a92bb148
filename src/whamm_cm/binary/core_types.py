"""Types of core modules: records for them and how they are read.

Value types are strings in the text format, abbreviated wherever an abbreviation exists: ``i32``,
``funcref``, ``(ref null 3)``, ``(ref extern)``, ``(ref null (shared any))``; equal types of one
module are equal strings.  Core specification 5.3 ("Types").
"""

from __future__ import annotations

from dataclasses import dataclass

from whamm_cm.binary.cursor import Cursor

_NUMBERS = {0x7F: "i32", 0x7E: "i64", 0x7D: "f32", 0x7C: "f64", 0x7B: "v128"}
_PACKED = {0x78: "i8", 0x77: "i16"}

#: Abstract heap types and the abbreviation of the nullable reference to each.
_HEAP = {
    0x70: ("func", "funcref"),
    0x6F: ("extern", "externref"),
    0x6E: ("any", "anyref"),
    0x6D: ("eq", "eqref"),
    0x6C: ("i31", "i31ref"),
    0x6B: ("struct", "structref"),
    0x6A: ("array", "arrayref"),
    0x69: ("exn", "exnref"),
    0x68: ("cont", "contref"),
    0x71: ("none", "nullref"),
    0x72: ("noextern", "nullexternref"),
    0x73: ("nofunc", "nullfuncref"),
    0x74: ("noexn", "nullexnref"),
    0x75: ("nocont", "nullcontref"),
}
_ABBREVIATIONS = dict(_HEAP.values())
_SHARED, _EXACT, _REF_NULL, _REF = 0x65, 0x62, 0x63, 0x64
_REC, _SUB, _SUB_FINAL = 0x4E, 0x50, 0x4F
_DESCRIBES, _DESCRIPTOR = 0x4C, 0x4D
_FUNC, _STRUCT, _ARRAY, _CONT = 0x60, 0x5F, 0x5E, 0x5D
_EMPTY = 0x40


@dataclass(frozen=True, slots=True)
class FuncType:
    params: tuple[str, ...]
    results: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TypeDef:
    """One entry of the type index space.  ``kind``: func, struct, array, cont.

    ``func`` is set for function types only; ``data`` are the bytes of the subtype, ``group`` the
    number of its recursion group in the type section.
    """

    kind: str
    group: int
    data: memoryview
    func: FuncType | None = None
    final: bool = True
    supertypes: tuple[int, ...] = ()
    shared: bool = False


@dataclass(frozen=True, slots=True)
class MemoryType:
    """``min`` and ``max`` in pages of ``1 << page_size_log2`` bytes."""

    min: int
    max: int | None = None
    is64: bool = False
    shared: bool = False
    page_size_log2: int = 16


@dataclass(frozen=True, slots=True)
class TableType:
    element: str
    min: int
    max: int | None = None
    is64: bool = False
    shared: bool = False


@dataclass(frozen=True, slots=True)
class GlobalType:
    type: str
    mutable: bool = False
    shared: bool = False


def read_heap_type(cur: Cursor) -> str:
    start = cur.pos
    byte = cur.peek("a heap type")
    if byte & 0xC0 != 0x40:  # not a negative number of one byte: a type index
        index = cur.s33()
        if index < 0:
            raise cur.error("negative type index", start)
        return str(index)
    cur.pos += 1
    if byte == _EXACT:
        return f"(exact {cur.u32('a type index')})"
    if byte == _SHARED:
        return f"(shared {_abstract(cur, cur.u8('a heap type'))})"
    return _abstract(cur, byte)


def _abstract(cur: Cursor, byte: int) -> str:
    if byte not in _HEAP:
        raise cur.error(f"unknown heap type 0x{byte:02x}", cur.pos - 1)
    return _HEAP[byte][0]


def _reference(heap: str, nullable: bool) -> str:
    if not nullable:
        return f"(ref {heap})"
    return _ABBREVIATIONS.get(heap) or f"(ref null {heap})"


def read_ref_type(cur: Cursor) -> str:
    byte = cur.u8("a reference type")
    if byte in (_REF_NULL, _REF):
        return _reference(read_heap_type(cur), byte == _REF_NULL)
    if byte == _SHARED:
        return _reference(f"(shared {_abstract(cur, cur.u8('a heap type'))})", True)
    if byte not in _HEAP:
        raise cur.error(f"unknown reference type 0x{byte:02x}", cur.pos - 1)
    return _HEAP[byte][1]


def read_val_type(cur: Cursor) -> str:
    byte = cur.peek("a value type")
    number = _NUMBERS.get(byte)
    if number is not None:
        cur.pos += 1
        return number
    if byte not in _HEAP and byte not in (_REF_NULL, _REF, _SHARED):
        raise cur.error(f"unknown value type 0x{byte:02x}")
    return read_ref_type(cur)


def read_block_type(cur: Cursor) -> int | str | None:
    """None for an empty block, a value type, or the index of a function type."""
    byte = cur.peek("a block type")
    if byte == _EMPTY:
        cur.pos += 1
        return None
    if byte & 0xC0 == 0x40:
        return read_val_type(cur)
    start, index = cur.pos, cur.s33("a block type")
    if index < 0:
        raise cur.error("negative type index", start)
    return index


def read_types(cur: Cursor) -> tuple[TypeDef, ...]:
    """The type section: all members of all recursion groups, in index order."""
    groups = 0

    def group(inner: Cursor) -> tuple[TypeDef, ...]:
        nonlocal groups
        number, groups = groups, groups + 1
        if inner.peek("a type") != _REC:
            return (_read_subtype(inner, number),)
        inner.pos += 1
        return inner.vector("member", lambda member: _read_subtype(member, number))

    return tuple(member for members in cur.vector("type", group) for member in members)


def _read_subtype(cur: Cursor, group: int) -> TypeDef:
    start, final = cur.pos, True
    supertypes: tuple[int, ...] = ()
    lead = cur.peek("a type")
    if lead in (_SUB, _SUB_FINAL):
        cur.pos += 1
        final = lead == _SUB_FINAL
        supertypes = cur.vector("supertype", Cursor.u32)
    shared = cur.peek("a type") == _SHARED
    if shared:
        cur.pos += 1
    for clause in (_DESCRIBES, _DESCRIPTOR):
        if cur.peek("a type") == clause:
            cur.pos += 1
            cur.u32("a type index")
    kind, func = _read_composite(cur)
    data = memoryview(cur.data)[start : cur.pos]
    return TypeDef(kind, group, data, func, final, supertypes, shared)


def _read_composite(cur: Cursor) -> tuple[str, FuncType | None]:
    byte = cur.u8("a type")
    if byte == _FUNC:
        return "func", FuncType(
            cur.vector("param", read_val_type), cur.vector("result", read_val_type)
        )
    if byte == _STRUCT:
        cur.vector("field", _skip_field)
        return "struct", None
    if byte == _ARRAY:
        _skip_field(cur)
        return "array", None
    if byte == _CONT:
        index = cur.s33("a type index")
        if index < 0:
            raise cur.error("negative type index")
        return "cont", None
    raise cur.error(f"unknown kind of type 0x{byte:02x}", cur.pos - 1)


def _skip_field(cur: Cursor) -> None:
    if cur.peek("a field type") in _PACKED:
        cur.pos += 1
    else:
        read_val_type(cur)
    if cur.u8("mutability") > 1:
        raise cur.error("mutability of a field is neither 0 nor 1", cur.pos - 1)


def read_memory_type(cur: Cursor) -> MemoryType:
    """Limits with flags: 1 has a maximum, 2 shared, 4 64-bit, 8 has a page size."""
    flags, least, most = _read_limits(cur, 0b1111)
    page = 16
    if flags & 8:
        page = cur.u32("a page size")
        if page >= 64:
            raise cur.error(f"page size of 2**{page} bytes", cur.pos - 1)
    return MemoryType(least, most, bool(flags & 4), bool(flags & 2), page)


def read_table_type(cur: Cursor) -> TableType:
    element = read_ref_type(cur)
    flags, least, most = _read_limits(cur, 0b111)
    return TableType(element, least, most, bool(flags & 4), bool(flags & 2))


def _read_limits(cur: Cursor, allowed: int) -> tuple[int, int, int | None]:
    flags = cur.u8("limits")
    if flags & ~allowed:
        raise cur.error(f"unknown limits flags 0x{flags:02x}", cur.pos - 1)
    return flags, cur.u64("a minimum"), cur.u64("a maximum") if flags & 1 else None


def read_global_type(cur: Cursor) -> GlobalType:
    """A value type and flags: 1 mutable, 2 shared."""
    kind = read_val_type(cur)
    flags = cur.u8("mutability")
    if flags > 3:
        raise cur.error(f"unknown global flags 0x{flags:02x}", cur.pos - 1)
    return GlobalType(kind, bool(flags & 1), bool(flags & 2))

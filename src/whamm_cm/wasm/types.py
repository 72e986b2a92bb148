"""Core types: records for them and how they are read, in core modules and in components alike.

Value types are strings in the text format, abbreviated wherever an abbreviation exists: ``i32``,
``funcref``, ``(ref null 3)``, ``(ref extern)``, ``(ref null (shared any))``; equal types of one
module are equal strings.  Core specification 5.3 ("Types").

What may hold a type index takes a ``TypeIndex``, the reader of such indices: components look them
up in their own index spaces (``component.core_types``), core modules only keep the number.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.wasm.cursor import Cursor
from whamm_cm.wasm.leb import unsigned

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
REC, SUB, SUB_FINAL = 0x4E, 0x50, 0x4F
_DESCRIBES, _DESCRIPTOR = 0x4C, 0x4D
_FUNC, _STRUCT, _ARRAY, _CONT = 0x60, 0x5F, 0x5E, 0x5D
_EMPTY = 0x40

#: Kinds of imports and exports, by their byte.
KINDS = ("func", "table", "memory", "global", "tag")
_FUNC_EXACT = 0x20


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

    min: int = 0
    max: int | None = None
    is64: bool = False
    shared: bool = False
    page_size_log2: int = 16

    def encode(self) -> bytes:
        """The size of a page is written only when it is not the usual one."""
        custom = self.page_size_log2 != 16
        flags = (self.max is not None) | self.shared << 1 | self.is64 << 2 | custom << 3
        out = unsigned(flags) + unsigned(self.min)
        if self.max is not None:
            out += unsigned(self.max)
        return out + unsigned(self.page_size_log2) if custom else out


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


#: The type of an import or export; a function's and a tag's is a type index.
ExternType: TypeAlias = "int | TableType | MemoryType | GlobalType"


def type_index(cur: Cursor, signed: bool) -> int:
    """A type index; ``signed`` where an abstract heap type could stand instead."""
    if not signed:
        return cur.u32("a type index")
    start, index = cur.pos, cur.s33("a type index")
    if index < 0:
        raise cur.error("negative type index", start)
    return index


TypeIndex: TypeAlias = Callable[[Cursor, bool], int]


def read_heap_type(cur: Cursor, index: TypeIndex = type_index) -> str:
    byte = cur.peek("a heap type")
    if byte & 0xC0 != 0x40:  # not a negative number of one byte
        return str(index(cur, True))
    cur.pos += 1
    if byte == _EXACT:
        return f"(exact {index(cur, False)})"
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


def read_ref_type(cur: Cursor, index: TypeIndex = type_index) -> str:
    byte = cur.u8("a reference type")
    if byte in (_REF_NULL, _REF):
        return _reference(read_heap_type(cur, index), byte == _REF_NULL)
    if byte == _SHARED:
        return _reference(f"(shared {_abstract(cur, cur.u8('a heap type'))})", True)
    if byte not in _HEAP:
        raise cur.error(f"unknown reference type 0x{byte:02x}", cur.pos - 1)
    return _HEAP[byte][1]


def read_val_type(cur: Cursor, index: TypeIndex = type_index) -> str:
    byte = cur.peek("a value type")
    number = _NUMBERS.get(byte)
    if number is not None:
        cur.pos += 1
        return number
    if byte not in _HEAP and byte not in (_REF_NULL, _REF, _SHARED):
        raise cur.error(f"unknown value type 0x{byte:02x}")
    return read_ref_type(cur, index)


def read_block_type(cur: Cursor) -> int | str | None:
    """None for an empty block, a value type, or the index of a function type."""
    byte = cur.peek("a block type")
    if byte == _EMPTY:
        cur.pos += 1
        return None
    if byte & 0xC0 == 0x40:
        return read_val_type(cur)
    return type_index(cur, True)


def read_types(cur: Cursor) -> tuple[TypeDef, ...]:
    """The type section: all members of all recursion groups, in index order."""
    groups = 0

    def group(inner: Cursor) -> tuple[TypeDef, ...]:
        nonlocal groups
        number, groups = groups, groups + 1
        if inner.peek("a type") != REC:
            return (read_subtype(inner, number),)
        inner.pos += 1
        return inner.vector("member", lambda member: read_subtype(member, number))

    return tuple(member for members in cur.vector("type", group) for member in members)


def read_subtype(cur: Cursor, group: int, index: TypeIndex = type_index) -> TypeDef:
    start, final = cur.pos, True
    supertypes: tuple[int, ...] = ()
    lead = cur.peek("a type")
    if lead in (SUB, SUB_FINAL):
        cur.pos += 1
        final = lead == SUB_FINAL
        supertypes = cur.vector("supertype", lambda inner: index(inner, False))
    shared = cur.peek("a type") == _SHARED
    if shared:
        cur.pos += 1
    for clause in (_DESCRIBES, _DESCRIPTOR):
        if cur.peek("a type") == clause:
            cur.pos += 1
            index(cur, False)
    kind, func = _read_composite(cur, index)
    data = memoryview(cur.data)[start : cur.pos]
    return TypeDef(kind, group, data, func, final, supertypes, shared)


def _read_composite(cur: Cursor, index: TypeIndex) -> tuple[str, FuncType | None]:
    byte = cur.u8("a type")
    if byte == _FUNC:
        read = partial(read_val_type, index=index)
        return "func", FuncType(cur.vector("param", read), cur.vector("result", read))
    if byte == _STRUCT:
        cur.vector("field", partial(_skip_field, index=index))
        return "struct", None
    if byte == _ARRAY:
        _skip_field(cur, index)
        return "array", None
    if byte == _CONT:
        index(cur, True)
        return "cont", None
    raise cur.error(f"unknown kind of type 0x{byte:02x}", cur.pos - 1)


def _skip_field(cur: Cursor, index: TypeIndex) -> None:
    if cur.peek("a field type") in _PACKED:
        cur.pos += 1
    else:
        read_val_type(cur, index)
    cur.flag("mutability of a field")


def read_memory_type(cur: Cursor) -> MemoryType:
    """Limits with flags: 1 has a maximum, 2 shared, 4 64-bit, 8 has a page size."""
    flags, least, most = _read_limits(cur, 0b1111)
    page = 16
    if flags & 8:
        page = cur.u32("a page size")
        if page >= 64:
            raise cur.error(f"page size of 2**{page} bytes", cur.pos - 1)
    return MemoryType(least, most, bool(flags & 4), bool(flags & 2), page)


def read_table_type(cur: Cursor, index: TypeIndex = type_index) -> TableType:
    element = read_ref_type(cur, index)
    flags, least, most = _read_limits(cur, 0b111)
    return TableType(element, least, most, bool(flags & 4), bool(flags & 2))


def _read_limits(cur: Cursor, allowed: int) -> tuple[int, int, int | None]:
    flags = cur.u8("limits")
    if flags & ~allowed:
        raise cur.error(f"unknown limits flags 0x{flags:02x}", cur.pos - 1)
    return flags, cur.u64("a minimum"), cur.u64("a maximum") if flags & 1 else None


def read_global_type(cur: Cursor, index: TypeIndex = type_index) -> GlobalType:
    """A value type and flags: 1 mutable, 2 shared."""
    kind = read_val_type(cur, index)
    flags = cur.u8("mutability")
    if flags > 3:
        raise cur.error(f"unknown global flags 0x{flags:02x}", cur.pos - 1)
    return GlobalType(kind, bool(flags & 1), bool(flags & 2))


def read_tag_type(cur: Cursor, index: TypeIndex = type_index) -> int:
    if cur.u8("a tag attribute"):
        raise cur.error("unknown tag attribute", cur.pos - 1)
    return index(cur, False)


def read_kind(cur: Cursor) -> str:
    byte = cur.u8("a kind")
    if byte >= len(KINDS):
        raise cur.error(f"unknown kind of import or export 0x{byte:02x}", cur.pos - 1)
    return KINDS[byte]


def read_extern_type(cur: Cursor, index: TypeIndex = type_index) -> tuple[str, ExternType, bool]:
    """(kind, type, exact): an import's type, or an export's in a module type.

    ``exact`` is the custom descriptors' ``(exact func)``.
    """
    if cur.peek("a kind") == _FUNC_EXACT:
        cur.pos += 1
        return "func", index(cur, False), True
    kind = read_kind(cur)
    return kind, _EXTERN_TYPES[kind](cur, index), False


_EXTERN_TYPES: dict[str, Callable[[Cursor, TypeIndex], ExternType]] = {
    "func": lambda cur, index: index(cur, False),
    "table": read_table_type,
    "memory": lambda cur, index: read_memory_type(cur),
    "global": read_global_type,
    "tag": read_tag_type,
}

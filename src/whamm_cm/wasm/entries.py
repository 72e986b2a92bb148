"""What the sections of a core module define: one record and one reader per kind of entry.

Core specification 5.5 ("Modules").  Readers take a cursor over the whole module that ends where the
section ends; positions in records are positions in the module's bytes.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import field
from typing import TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import DecodeError, InternalError
from whamm_cm.kernel import layout
from whamm_cm.wasm.code import Loaded
from whamm_cm.wasm.cursor import Cursor
from whamm_cm.wasm.instructions import skip_expr_at
from whamm_cm.wasm.types import (
    ExternType,
    GlobalType,
    MemoryType,
    TableType,
    read_extern_type,
    read_global_type,
    read_kind,
    read_memory_type,
    read_ref_type,
    read_table_type,
    read_tag_type,
    read_val_type,
)

_COMPACT_TYPES, _COMPACT_NAMES = 0x7F, 0x7E

#: The type of an import; a function's and a tag's is an index into the type section.
ImportType: TypeAlias = ExternType


@dataclass(frozen=True, slots=True)
class Import:
    """``kind`` is in ``core_types.KINDS``, ``exact``: custom descriptors' ``(exact func)``."""

    module: str
    name: str
    kind: str
    type: ImportType
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Export:
    name: str
    kind: str
    index: int


@dataclass(frozen=True, slots=True)
class Table:
    type: TableType
    init: memoryview | None = None


@dataclass(frozen=True, slots=True)
class Global:
    type: GlobalType
    init: memoryview


@dataclass(frozen=True, slots=True)
class Element:
    """``mode``: active, passive, declared.  ``table`` and ``offset`` are set for active ones only.

    Either ``functions`` (indices) or ``exprs`` holds the items; ``type`` is their reference type.
    """

    mode: str
    type: str
    table: int | None = None
    offset: memoryview | None = None
    functions: tuple[int, ...] | None = None
    exprs: tuple[memoryview, ...] | None = None


@dataclass(frozen=True, slots=True)
class Data:
    """``mode``: active, passive.  ``memory`` and ``offset`` are set for active ones only."""

    mode: str
    payload: memoryview
    memory: int | None = None
    offset: memoryview | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """A function's code: local declarations at ``start``, instructions from ``code`` to ``end``.

    ``locals`` are the declared groups as (count, value type).
    """

    start: int
    code: int
    end: int
    locals: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Bodies:
    """Those of the code section ``data[first:end]`` of a module; what a body is is read when it is
    asked for.  ``words``: ``layout.FUNCTION_WORDS`` of each."""

    data: memoryview
    first: int
    end: int
    words: array[int]

    def __len__(self) -> int:
        return len(self.words) // layout.FUNCTION_WORDS

    def column(self, word: int) -> array[int]:
        """``layout.CODE`` and the like of all bodies."""
        return self.words[word :: layout.FUNCTION_WORDS]

    def __iter__(self) -> Iterator[Body]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, index: int) -> Body:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        at = index % len(self) * layout.FUNCTION_WORDS
        _, start, code, end = self.words[at : at + 4]
        groups = Cursor(self.data, start, code).vector("local", _local_group)
        return Body(start, code, end, groups)


#: Bodies as they were read: in a kernel, and where there what they are.
InKernel: TypeAlias = tuple[Loaded, int]


@dataclass(frozen=True, slots=True)
class Names:
    """The parts of the name section this tool uses.

    ``fault`` says where a malformed section stopped making sense: custom sections cannot make a
    module invalid, so what precedes the fault is kept and the fault is left to the caller.
    """

    module: str | None = None
    functions: dict[int, str] = field(default_factory=dict)
    fault: DecodeError | None = None


def _expr(cur: Cursor) -> memoryview:
    start = cur.pos
    skip_expr_at(cur)
    return memoryview(cur.data)[start : cur.pos]


def _imports(cur: Cursor) -> tuple[Import, ...]:
    """One entry of the import section: one import, or several of one module in compact form."""
    module, name = cur.name("module name"), cur.name("import name")
    form = cur.peek("a kind") if not name else None
    if form == _COMPACT_TYPES:
        cur.pos += 1
        return cur.vector("item", lambda c: Import(module, c.name(), *read_extern_type(c)))
    if form == _COMPACT_NAMES:
        cur.pos += 1
        described = read_extern_type(cur)
        return cur.vector("item", lambda c: Import(module, c.name(), *described))
    return (Import(module, name, *read_extern_type(cur)),)


def read_imports(cur: Cursor) -> tuple[Import, ...]:
    return tuple(one for several in cur.vector("import", _imports) for one in several)


def read_functions(cur: Cursor) -> tuple[int, ...]:
    return cur.u32s("function", "a type index")


def _table(cur: Cursor) -> Table:
    if cur.peek("a table") != 0x40:
        return Table(read_table_type(cur))
    cur.pos += 1
    if cur.u8("a table"):
        raise cur.error("unknown table encoding", cur.pos - 1)
    return Table(read_table_type(cur), _expr(cur))


def read_tables(cur: Cursor) -> tuple[Table, ...]:
    return cur.vector("table", _table)


def read_memories(cur: Cursor) -> tuple[MemoryType, ...]:
    return cur.vector("memory", read_memory_type)


def read_tags(cur: Cursor) -> tuple[int, ...]:
    return cur.vector("tag", read_tag_type)


def read_globals(cur: Cursor) -> tuple[Global, ...]:
    return cur.vector("global", lambda c: Global(read_global_type(c), _expr(c)))


def read_exports(cur: Cursor) -> tuple[Export, ...]:
    return cur.vector(
        "export", lambda c: Export(c.name("export name"), read_kind(c), c.u32("an index"))
    )


def _element(cur: Cursor) -> Element:
    """Flags: 1 not active, 2 explicit table (active) or declared, 4 expressions, not indices."""
    flags = cur.u32("element flags")
    if flags > 7:
        raise cur.error(f"unknown element flags 0x{flags:x}")
    mode, table, offset = "active", None, None
    if flags & 1:
        mode = "declared" if flags & 2 else "passive"
    else:
        table = cur.u32("a table index") if flags & 2 else 0
        offset = _expr(cur)
    kind = "funcref"
    if flags & 3 and flags & 4:
        kind = read_ref_type(cur)
    elif flags & 3 and cur.u8("an element kind"):
        raise cur.error("unknown element kind", cur.pos - 1)
    if flags & 4:
        return Element(mode, kind, table, offset, exprs=cur.vector("item", _expr))
    return Element(mode, kind, table, offset, functions=cur.u32s("item", "a u32"))


def read_elements(cur: Cursor) -> tuple[Element, ...]:
    return cur.vector("element", _element)


def _data(cur: Cursor) -> Data:
    flags = cur.u32("data flags")
    if flags > 2:
        raise cur.error(f"unknown data flags 0x{flags:x}")
    memory, offset = None, None
    if flags != 1:
        memory = cur.u32("a memory index") if flags == 2 else 0
        offset = _expr(cur)
    size = cur.u32("a length")
    start = cur.skip(size, "data segment")
    payload = memoryview(cur.data)[start : cur.pos]
    return Data("passive" if flags == 1 else "active", payload, memory, offset)


def read_data(cur: Cursor) -> tuple[Data, ...]:
    return cur.vector("data", _data)


def _local_group(cur: Cursor) -> tuple[int, str]:
    return cur.u32("a count"), read_val_type(cur)


def _check_body(cur: Cursor) -> None:
    size = cur.u32("a length")
    inner = cur.inner(size, "function body")
    start = inner.pos
    groups = inner.vector("local", _local_group)
    if sum(count for count, _ in groups) >> 32:
        raise inner.error("more than 2**32 locals", start)


def read_bodies(cur: Cursor) -> tuple[Bodies, InKernel]:
    before = Cursor(cur.data, cur.pos, cur.end, cur.offset, cur.path)
    count, first = before.count("code"), before.pos
    loaded = Loaded.of(cur.data, first, cur.end)
    at = loaded.entries(cur.end, count)
    if at is None:
        cur.vector("code", _check_body)
        cur.finish("code section")
        raise InternalError("the kernel does not read the code section")
    words = loaded.kernel.get_words(at, count * layout.FUNCTION_WORDS)
    cur.pos = cur.end
    return Bodies(memoryview(cur.data), first, cur.end, words), (loaded, at)


def _naming(cur: Cursor) -> tuple[int, str]:
    index = cur.u32("a function index")
    size = cur.u32("the length of a name")
    start = cur.skip(size, "name")
    # A badly encoded name is still the best name there is.
    return index, str(cur.data[start : cur.pos], "utf-8", "replace")


def read_names(cur: Cursor) -> Names:
    """The name section's content; never raises (see :class:`Names`)."""
    module, functions = None, {}
    try:
        while cur.left:
            kind = cur.u8("a subsection")
            size = cur.u32("a length")
            inner = cur.inner(size, "subsection")
            if kind == 0:
                module = inner.name("module name")
            elif kind == 1:
                functions = dict(inner.vector("function", _naming))
    except DecodeError as fault:
        return Names(module, functions, fault)
    return Names(module, functions)

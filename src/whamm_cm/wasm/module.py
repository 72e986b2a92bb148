"""A core module: its bytes, and what they say, decoded when it is first asked for."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import DecodeError
from whamm_cm.kernel import layout
from whamm_cm.wasm import entries as read
from whamm_cm.wasm.code import Instructions, find
from whamm_cm.wasm.cursor import Cursor
from whamm_cm.wasm.entries import (
    Bodies,
    Body,
    Data,
    Element,
    Export,
    Global,
    Import,
    ImportType,
    InKernel,
    Names,
    Table,
)
from whamm_cm.wasm.instructions import scan
from whamm_cm.wasm.opcodes import Opcode
from whamm_cm.wasm.sections import (
    SECTION_NAMES,
    SECTION_ORDER,
    Payload,
    Section,
    SectionId,
    check_preamble,
    join,
    split,
)
from whamm_cm.wasm.types import FuncType, GlobalType, MemoryType, TableType, TypeDef, read_types

__all__ = [
    "Bodies",
    "Body",
    "CoreModule",
    "Data",
    "Element",
    "Export",
    "FuncType",
    "Global",
    "GlobalType",
    "Import",
    "ImportType",
    "MemoryType",
    "Names",
    "Section",
    "SectionId",
    "Table",
    "TableType",
    "TypeDef",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Paths(Sequence[str]):
    """The paths of function bodies."""

    path: str
    indices: Sequence[int]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, place: Any) -> Any:
        return f"{self.path}.code[{self.indices[place]}]".lstrip(".")


class CoreModule:
    """A core module that is decoded part by part.

    ``offset`` is where ``data`` starts in the outermost input, ``path`` its nesting path.  The
    constructor checks the preamble only; every property and method below raises DecodeError (with
    the offset in the outermost input) when the bytes it reads are malformed.  Decoding is not
    validation: indices are checked when they are followed, types never.
    """

    def __init__(self, data: bytes | memoryview, offset: int = 0, path: str = "") -> None:
        check_preamble(data, offset, path)
        self.data, self.offset, self.path = memoryview(data), offset, path

    def __repr__(self) -> str:
        return f"<CoreModule {self.path or '(root)'} at 0x{self.offset:x}, {len(self.data)} bytes>"

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        return split(self.data, self.offset, self.path)

    def section(self, number: int) -> Section | None:
        """The section of that id, of which there is one at most (not for custom sections)."""
        return next((s for s in self.sections if s.id == number), None)

    @property
    def custom_sections(self) -> tuple[Section, ...]:
        return tuple(s for s in self.sections if s.id == SectionId.CUSTOM)

    def _read(self, number: int, read_all: Callable[[Cursor], tuple[T, ...]]) -> tuple[T, ...]:
        section = self.section(number)
        if section is None:
            return ()
        cur = self._cursor(section.start, section.end)
        found = read_all(cur)
        cur.finish(f"{SECTION_NAMES[number]} section")
        return found

    def _cursor(self, start: int, end: int) -> Cursor:
        return Cursor(self.data, start, end, self.offset, self.path)

    def _error(self, message: str) -> DecodeError:
        return DecodeError(message, self.offset, self.path)

    @cached_property
    def types(self) -> tuple[TypeDef, ...]:
        """The type index space: every member of every recursion group."""
        return self._read(SectionId.TYPE, read_types)

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        return self._read(SectionId.IMPORT, read.read_imports)

    @cached_property
    def functions(self) -> tuple[int, ...]:
        """The type index of every defined (not imported) function."""
        return self._read(SectionId.FUNCTION, read.read_functions)

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """Defined tables."""
        return self._read(SectionId.TABLE, read.read_tables)

    @cached_property
    def memories(self) -> tuple[MemoryType, ...]:
        """Defined memories."""
        return self._read(SectionId.MEMORY, read.read_memories)

    @cached_property
    def tags(self) -> tuple[int, ...]:
        """The type index of every defined tag."""
        return self._read(SectionId.TAG, read.read_tags)

    @cached_property
    def globals(self) -> tuple[Global, ...]:
        """Defined globals."""
        return self._read(SectionId.GLOBAL, read.read_globals)

    @cached_property
    def exports(self) -> tuple[Export, ...]:
        return self._read(SectionId.EXPORT, read.read_exports)

    def _number(self, section: int, what: str) -> int | None:
        found = self._read(section, lambda cur: (cur.u32(what),))
        return found[0] if found else None

    @cached_property
    def start(self) -> int | None:
        """The function index of the start function."""
        return self._number(SectionId.START, "a function index")

    @cached_property
    def elements(self) -> tuple[Element, ...]:
        return self._read(SectionId.ELEMENT, read.read_elements)

    @cached_property
    def data_count(self) -> int | None:
        return self._number(SectionId.DATA_COUNT, "a data count")

    @cached_property
    def data_segments(self) -> tuple[Data, ...]:
        found = self._read(SectionId.DATA, read.read_data)
        if self.data_count not in (None, len(found)):
            raise self._error(f"{self.data_count} data segments announced, {len(found)} found")
        return found

    @cached_property
    def bodies(self) -> Bodies:
        """The code of every defined function; instructions are not looked at."""
        return self.read_bodies()[0]

    def read_bodies(self) -> tuple[Bodies, InKernel | None]:
        """``bodies``; the first who asks for them gets what the kernel has of them, too."""
        if "bodies" in self.__dict__:
            return self.bodies, None
        section = self.section(SectionId.CODE)
        found, known = Bodies(self.data, 0, 0, array("I")), None
        if section is not None:
            found, known = read.read_bodies(self._cursor(section.start, section.end))
        if len(found) != len(self.functions):
            raise self._error(f"{len(self.functions)} functions, but {len(found)} function bodies")
        self.__dict__["bodies"] = found
        return found, known

    def instructions(self, index: int) -> Iterator[tuple[int, Opcode, int]]:
        """(position, opcode, end) of each instruction of the defined function ``index``."""
        body, path = self.bodies[index], f"{self.path}.code[{index}]".lstrip(".")
        return scan(self.data, body.code, body.end, offset=self.offset, path=path)

    def find(
        self,
        wanted: Iterable[Opcode] | None = None,
        indices: Sequence[int] | None = None,
        by_immediates: Iterable[Opcode] = (),
    ) -> Instructions:
        """The instructions of ``wanted`` (None: all) in all defined functions, or in those of
        ``indices``; see :func:`code.find`.  A span's number is its place among them."""
        codes, ends = self.bodies.column(layout.CODE), self.bodies.column(layout.END)
        chosen = range(len(codes)) if indices is None else indices
        spans = [(codes[index], ends[index]) for index in chosen]
        return find(
            self.data, spans, wanted, by_immediates=by_immediates, offset=self.offset,
            path=_Paths(self.path, chosen),
        )  # fmt: skip

    @cached_property
    def names(self) -> Names:
        """The name section, empty when there is none."""
        section = next((s for s in self.custom_sections if s.name == "name"), None)
        if section is None:
            return Names()
        return read.read_names(self._cursor(section.content, section.end))

    # Index spaces: imports first, then definitions.

    def imported(self, kind: str) -> tuple[Import, ...]:
        return self._imports_by_kind.get(kind, ())

    @cached_property
    def _imports_by_kind(self) -> dict[str, tuple[Import, ...]]:
        return {
            kind: tuple(i for i in self.imports if i.kind == kind)
            for kind in dict.fromkeys(i.kind for i in self.imports)
        }

    def _at(self, kind: str, index: int, defined: tuple[T, ...]) -> ImportType | T:
        imported = self.imported(kind)
        if index < len(imported):
            return imported[index].type
        if index - len(imported) < len(defined):
            return defined[index - len(imported)]
        count = len(imported) + len(defined)
        raise self._error(f"{kind} index {index} is out of bounds (there are {count})")

    def type_func(self, index: int) -> FuncType:
        """The function type at a *type* index."""
        if index >= len(self.types):
            raise self._error(f"type index {index} is out of bounds (there are {len(self.types)})")
        found = self.types[index]
        if found.func is None:
            raise self._error(f"type {index} is a {found.kind} type, not a function type")
        return found.func

    def func_type(self, index: int) -> FuncType:
        """The type of function ``index`` (imported ones come first)."""
        return self.type_func(self.type_index(index))

    def type_index(self, index: int) -> int:
        """The *type* index of function ``index``."""
        found = self._at("func", index, self.functions)
        assert isinstance(found, int)
        return found

    def tag_type(self, index: int) -> FuncType:
        """The type of tag ``index`` (imported ones come first)."""
        found = self._at("tag", index, self.tags)
        assert isinstance(found, int)
        return self.type_func(found)

    def memory_type(self, index: int) -> MemoryType:
        """The type of memory ``index`` (imported ones come first)."""
        found = self._at("memory", index, self.memories)
        assert isinstance(found, MemoryType)
        return found

    def table_type(self, index: int) -> TableType:
        """The type of table ``index`` (imported ones come first)."""
        found = self._at("table", index, self.tables)
        if isinstance(found, Table):
            return found.type
        assert isinstance(found, TableType)
        return found

    def global_type(self, index: int) -> GlobalType:
        """The type of global ``index`` (imported ones come first)."""
        found = self._at("global", index, self.globals)
        if isinstance(found, Global):
            return found.type
        assert isinstance(found, GlobalType)
        return found

    # Exports by name.

    @cached_property
    def _exports_by_name(self) -> dict[str, Export]:
        found: dict[str, Export] = {}
        for export in self.exports:
            if found.setdefault(export.name, export) is not export:
                raise self._error(f"two exports are named {export.name!r}")
        return found

    def export(self, name: str) -> Export | None:
        return self._exports_by_name.get(name)

    def _exported(self, name: str, kind: str) -> int:
        export = self.export(name)
        if export is None:
            raise self._error(f"there is no export {name!r}")
        if export.kind != kind:
            raise self._error(f"export {name!r} is a {export.kind}, not a {kind}")
        return export.index

    def exported_memory(self, name: str) -> MemoryType:
        """DecodeError when there is no memory exported under that name."""
        return self.memory_type(self._exported(name, "memory"))

    def encode(
        self,
        replacements: Mapping[int, Payload | None] | None = None,
        additions: Iterable[tuple[int, Payload]] = (),
    ) -> bytes:
        """The module as bytes: byte for byte the input when nothing is changed.

        ``replacements``: position in ``sections`` → new payload (with the name, for custom
        sections), or None to leave the section out.  ``additions``: (section id, payload) of new
        sections; each is put where the specification wants it, custom sections at the end.
        """
        changed = replacements or {}
        out: list[tuple[int, Payload, int]] = []
        for position, section in enumerate(self.sections):
            payload = changed.get(position, section.payload)
            if payload is not None:
                width = section.size_width if position not in changed else 1
                out.append((section.id, payload, width))
        for number, payload in additions:
            out.insert(_place(out, number), (number, payload, 1))
        return join(out)


def _place(sections: list[tuple[int, Payload, int]], number: int) -> int:
    """Where a section of that id goes: right after the last one that must come before it."""
    if number == SectionId.CUSTOM:
        return len(sections)
    rank = SECTION_ORDER[number]
    before = [i for i, s in enumerate(sections) if s[0] and SECTION_ORDER[s[0]] < rank]
    return before[-1] + 1 if before else 0

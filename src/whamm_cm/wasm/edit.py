"""Editing one core module: imports, definitions and bodies added, everything else as it was.

Indices handed out are final ones: those of the module that is written.  Only imports move what the
input defines, so all imports of a kind are added before any final index beyond them is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from whamm_cm.errors import DecodeError, InternalError
from whamm_cm.wasm import encoding
from whamm_cm.wasm.code_edit import CodeEdit
from whamm_cm.wasm.cursor import Buffer, Cursor
from whamm_cm.wasm.customs import is_about_code
from whamm_cm.wasm.encoding import ValType
from whamm_cm.wasm.leb import unsigned
from whamm_cm.wasm.module import Body, CoreModule
from whamm_cm.wasm.names import FUNCTION, LABEL, MODULE, SPACE_OF, NameSection, read_name_section
from whamm_cm.wasm.opcodes import Imm
from whamm_cm.wasm.renumber import Edit, Renumbering, splice
from whamm_cm.wasm.rewrite import Draft, Piece, Replaced, Shift, Templates, draft_words
from whamm_cm.wasm.section_refs import read_entries, refers
from whamm_cm.wasm.sections import Payload, SectionId
from whamm_cm.wasm.types import MemoryType

_KINDS = ("func", "table", "memory", "global", "tag")
_DEFINING = {
    "func": SectionId.FUNCTION,
    "table": SectionId.TABLE,
    "memory": SectionId.MEMORY,
    "global": SectionId.GLOBAL,
}
#: Sections with indices of what imports move.
_REFERRING = (SectionId.TABLE, SectionId.GLOBAL, SectionId.ELEMENT, SectionId.DATA)


class ModuleEdit:
    """Collects changes of ``module``; :meth:`encode` makes them.

    Misuse raises InternalError, an input that turns out to be malformed DecodeError.
    ``dropped`` names the custom sections the last ``encode`` left out.
    """

    def __init__(self, module: CoreModule) -> None:
        self.module = module
        self.dropped: list[str] = []
        self._types: dict[bytes, int] | None = None
        self._new_types: list[bytes] = []
        self._imports: list[bytes] = []
        self._imported = dict.fromkeys(_KINDS, 0)
        self._locked: set[str] = set()
        self._defined: dict[str, list[bytes]] = {kind: [] for kind in _DEFINING}
        self._added_bodies: list[bytes] = []
        self._memories: tuple[list[MemoryType], list[MemoryType]] = ([], [])  # imported, defined
        self._data: list[bytes] = []
        self._exports: dict[str, tuple[str, int]] = {}
        self._bodies: dict[int, Draft] = {}
        self.templates = Templates()
        self._code: CodeEdit | None = None
        #: Of what is counted in code that was drafted in bulk.
        self.first_spot = 0
        self._names: dict[int, str] = {}
        #: Code in front of each ``unreachable``, and how often the last ``encode`` put it there.
        self.last_words = b""
        self.endings = 0

    # Types.

    def type_index(self, params: Iterable[ValType], results: Iterable[ValType]) -> int:
        """The index of that function type, added at the end of the type section if need be."""
        if self._types is None:
            self._types = self._plain_types()
        encoded = encoding.func_type(params, results)
        if encoded not in self._types:
            self._types[encoded] = len(self.module.types) + len(self._new_types)
            self._new_types.append(encoded)
        return self._types[encoded]

    def _plain_types(self) -> dict[bytes, int]:
        """Function types by their bytes: final ones without supertypes, alone in their group."""
        types = self.module.types
        sizes: dict[int, int] = {}
        for definition in types:
            sizes[definition.group] = sizes.get(definition.group, 0) + 1
        found: dict[bytes, int] = {}
        for index, definition in enumerate(types):
            if definition.func is not None and sizes[definition.group] == 1:
                found.setdefault(bytes(definition.data), index)
        return found

    # Imports.

    def _import(self, module: str, name: str, kind: str, described: bytes) -> int:
        if kind in self._locked:
            raise InternalError(f"{kind} import {name!r} is added after a final index was given")
        self._imports.append(encoding.imported(module, name, kind, described))
        self._imported[kind] += 1
        return len(self.module.imported(kind)) + self._imported[kind] - 1

    def import_func(
        self, module: str, name: str, params: Iterable[ValType], results: Iterable[ValType]
    ) -> int:
        """The final index of a new function import."""
        return self._import(module, name, "func", unsigned(self.type_index(params, results)))

    def import_global(self, module: str, name: str, kind: ValType, mutable: bool) -> int:
        """The final index of a new global import."""
        return self._import(module, name, "global", encoding.global_type(kind, mutable))

    def import_memory(self, module: str, name: str, memory: MemoryType) -> int:
        """The final index of a new memory import; the input's own memories move up."""
        self._memories[0].append(memory)
        return self._import(module, name, "memory", memory.encode())

    def import_table(self, module: str, name: str, described: bytes) -> int:
        """The final index of a new table import; ``described`` is an encoded table type."""
        return self._import(module, name, "table", described)

    # Final indices.

    def _shift(self, kind: str) -> Shift:
        return Shift(len(self.module.imported(kind)), self._imported[kind])

    def final(self, kind: str, index: int) -> int:
        """The final index of the input's ``index``; from now on no ``kind`` can be imported.

        ``kind`` is func, table, memory, global or tag.
        """
        self._locked.add(kind)
        return self._shift(kind)(index)

    def final_func(self, index: int) -> int:
        return self.final("func", index)

    def final_table(self, index: int) -> int:
        return self.final("table", index)

    def final_memory(self, index: int) -> int:
        return self.final("memory", index)

    def final_global(self, index: int) -> int:
        return self.final("global", index)

    # Definitions.

    def _define(self, kind: str, encoded: bytes) -> int:
        self._defined[kind].append(encoded)
        present = {
            "func": self.module.functions,
            "table": self.module.tables,
            "memory": self.module.memories,
            "global": self.module.globals,
        }[kind]
        end = len(self.module.imported(kind)) + len(present)
        return self.final(kind, end) + len(self._defined[kind]) - 1

    def add_global(self, kind: ValType, init: int | float | bytes, mutable: bool = True) -> int:
        """The final index of a new global; ``init`` as bytes is an expression without ``end``."""
        described = encoding.global_type(kind, mutable) + encoding.constant(kind, init)
        return self._define("global", described)

    def add_globals(self, defined: Sequence[bytes]) -> int:
        """The final index of the first of many new globals, given as they are encoded."""
        imported, present = len(self.module.imported("global")), len(self.module.globals)
        first = self.final("global", imported + present) + len(self._defined["global"])
        self._defined["global"] += defined
        return first

    def add_table(self, described: bytes) -> int:
        """The final index of a new table; ``described`` is an encoded table type."""
        return self._define("table", described)

    def add_func(self, type_index: int, body: bytes) -> int:
        """The final index of a new function.

        ``body`` is an entry of the code section, its size included, as ``asm.Func.encode`` makes
        it; indices in it are final.
        """
        self._added_bodies.append(body)
        return self._define("func", unsigned(type_index))

    def add_memory(self, memory: MemoryType) -> int:
        """The final index of a new memory."""
        self._memories[1].append(memory)
        return self._define("memory", memory.encode())

    def add_data(self, memory: int, offset: int, payload: bytes) -> int:
        """The index of a new active data segment of the memory with that final index."""
        is64 = self._memory_type(memory).is64
        self._data.append(encoding.data_segment(memory, is64, offset, payload))
        return len(self.module.data_segments) + len(self._data) - 1

    def _memory_type(self, final: int) -> MemoryType:
        self._locked.add("memory")
        imported, defined = len(self.module.imported("memory")), len(self.module.memories)
        types = [self.module.memory_type(index) for index in range(imported + defined)]
        types[imported:imported] = self._memories[0]
        return (types + self._memories[1])[final]

    def add_export(self, name: str, kind: str, index: int) -> None:
        """Export what has that final index; ``kind`` is func, table, memory, global or tag."""
        if self.module.export(name) is not None or name in self._exports:
            raise InternalError(f"there is an export {name!r} already")
        self._exports[name] = kind, index

    def name_func(self, index: int, name: str) -> None:
        """Name the function with that final index in the name section."""
        self._names[index] = name

    def replace_body(
        self, defined_index: int, pieces: Sequence[Piece], extra_locals: Sequence[ValType] = ()
    ) -> None:
        """New instructions for a defined function (imports are not counted).

        ``pieces`` in order make up the code, the last ``end`` included: (start, end) are positions
        in the input module's bytes, at borders of instructions; ``extra_locals`` follow the locals
        the function has.
        """
        if not 0 <= defined_index < len(self.module.bodies):
            raise InternalError(f"there is no defined function {defined_index}")
        words = draft_words(self.module.bodies[defined_index], pieces, self.templates)
        self.draft_body(defined_index, words, extra_locals)

    def draft_body(
        self, defined_index: int, words: Sequence[int], extra_locals: Sequence[ValType] = ()
    ) -> None:
        """The same with words of a ``Draft``, whose templates are of ``templates``."""
        declared = self._locals(self.module.bodies[defined_index], extra_locals)
        self._bodies[defined_index] = Draft(words, declared)

    def code(self) -> CodeEdit:
        """The code section in the kernel; drafts made there are written, too."""
        if self._code is None:
            self._code = self.new_code()
        return self._code

    def new_code(self) -> CodeEdit:
        """The same, without any draft."""
        self._code = CodeEdit(self.module)
        return self._code

    @property
    def replaced(self) -> Replaced:
        """The pieces of the bodies that were replaced, by defined function."""
        kept = {} if self._code is None else self._code.kept
        return Replaced(self.module.bodies, {**kept, **self._bodies}, self.templates)

    @property
    def added_globals(self) -> int:
        """How many globals were added so far."""
        return len(self._defined["global"])

    def renumbered(self, start: int, end: int) -> bytes:
        """Instructions of the input, from position to position, with final indices."""
        self._locked.update(_KINDS)
        shifts = {Imm(kind): self._shift(kind) for kind in _KINDS}
        renumbering = Renumbering(shifts, offset=self.module.offset, path=self.module.path)
        return bytes(renumbering.code(self.module.data, start, end))

    # Encoding.

    def encode(self) -> bytes:
        """The edited module; sections that are not affected are byte for byte the input's.  It is
        made once only if code was drafted in bulk."""
        self._locked.update(_KINDS)
        shifts = {Imm(kind): self._shift(kind) for kind in _KINDS}
        renumbering = Renumbering(shifts, offset=self.module.offset, path=self.module.path)
        payloads = self._payloads(renumbering)
        replacements: dict[int, Payload | None] = {}
        for position, section in enumerate(self.module.sections):
            if section.id in payloads:
                replacements[position] = payloads.pop(section.id)
        before_code = payloads.keys() | {self.module.sections[p].id for p in replacements}
        self._drop(replacements, bool(renumbering.spaces), before_code)
        additions = sorted(payloads.items())
        names = self._name_section(renumbering, replacements)
        if names is not None:
            additions.append((SectionId.CUSTOM, names))
        return self.module.encode(replacements, additions)

    def _payloads(self, renumbering: Renumbering) -> dict[int, Payload]:
        """Section id → payload, of the sections that change."""
        added = {
            SectionId.TYPE: self._new_types,
            SectionId.IMPORT: self._imports,
            SectionId.DATA: self._data,
            SectionId.ELEMENT: [],
            **{number: self._defined[kind] for kind, number in _DEFINING.items()},
        }
        found: dict[int, Payload | None] = {
            number: self._extended(number, items, renumbering) for number, items in added.items()
        }
        found[SectionId.EXPORT] = self._export_section(renumbering)
        found[SectionId.START] = self._start_section(renumbering)
        found[SectionId.CODE] = self._code_section(renumbering)
        if self._data and self.module.data_count is not None:
            found[SectionId.DATA_COUNT] = unsigned(self.module.data_count + len(self._data))
        return {number: payload for number, payload in found.items() if payload is not None}

    def _cursor(self, start: int, end: int) -> Cursor:
        return Cursor(self.module.data, start, end, self.module.offset, self.module.path)

    def _extended(
        self, number: int, items: Sequence[bytes], renumbering: Renumbering
    ) -> bytes | None:
        """A section with other indices and more entries; None when nothing changes."""
        section = self.module.section(number)
        if section is None:
            return unsigned(len(items)) + b"".join(items) if items else None
        edits: list[Edit] = []
        spaces = renumbering.spaces
        if spaces and number in _REFERRING and refers(number, spaces):
            entries = read_entries(self._cursor(section.start, section.end), number, spaces)
            edits = renumbering.edits(self.module.data, entries.refs)
        if not edits and not items:
            return None
        cur = self._cursor(section.start, section.end)
        count = cur.u32("a count")
        kept = splice(self.module.data, cur.pos, section.end, edits)
        return b"".join((unsigned(count + len(items)), kept, *items))

    def _export_section(self, renumbering: Renumbering) -> bytes | None:
        moved = any(renumbering.index(Imm(e.kind), e.index) != e.index for e in self.module.exports)
        if not (moved or self._exports):
            return None
        final = {
            e.name: (e.kind, renumbering.index(Imm(e.kind), e.index)) for e in self.module.exports
        }
        final |= self._exports
        items = [encoding.export(name, kind, index) for name, (kind, index) in final.items()]
        return unsigned(len(items)) + b"".join(items)

    def _start_section(self, renumbering: Renumbering) -> bytes | None:
        old = self.module.start
        moved = None if old is None else renumbering.index(Imm.FUNC, old)
        return unsigned(moved) if moved is not None and moved != old else None

    # Code.

    def _code_section(self, renumbering: Renumbering) -> Payload | None:
        section, added = self.module.section(SectionId.CODE), self._added_bodies
        if section is None:
            return [unsigned(len(added)), *added] if added else None
        cur = self._cursor(section.start, section.end)
        count = cur.u32("a count")
        kept: Sequence[Buffer] = (self.module.data[cur.pos : section.end],)
        changed = False
        drafted = self._bodies or self._code and self._code.drafted
        if renumbering.spaces or drafted or self.last_words:
            last = self.templates.number(self.last_words) if self.last_words else None
            code, maps = self.code(), renumbering.maps
            written = code.write(self._bodies, self.templates, maps, self.first_spot, last)
            self.endings = written.endings
            code.close()
            if not code.drafted:
                self._code = None
            changed = bool(written.changed)
            kept = written.pieces
        if not changed and not added:
            return None
        return [unsigned(count + len(added)), *kept, *added]

    def _locals(self, body: Body, kinds: Sequence[ValType]) -> bytes | None:
        if not kinds:
            return None
        groups = encoding.local_groups(kinds)
        cur = self._cursor(body.start, body.code)
        count = cur.u32("a count")
        kept = self.module.data[cur.pos : body.code]
        return b"".join((unsigned(count + len(groups)), kept, *groups))

    # Custom sections.

    def _drop(
        self, replacements: dict[int, Payload | None], shifted: bool, changed: Iterable[int]
    ) -> None:
        """Leave out sections about code when it moved, or when what they number did."""
        moved = shifted or SectionId.CODE in changed
        ahead = any(number not in (SectionId.CUSTOM, SectionId.DATA) for number in changed)
        self.dropped = []
        for position, section in enumerate(self.module.sections):
            # A source map counts from the module's first byte, the others from the code section's.
            displaced = section.name == "sourceMappingURL" and ahead
            if is_about_code(section) and (moved or displaced):
                replacements[position] = None
                self.dropped.append(section.name)

    def _name_section(
        self, renumbering: Renumbering, replacements: dict[int, Payload | None]
    ) -> bytes | None:
        """Put the new name section into ``replacements``, or return it when there was none."""
        needed = bool(renumbering.spaces or self._names)
        if not (needed or self._bodies or (self._code and self._code.drafted)):
            return None
        names, place = NameSection(), self._name_place()
        spaces = {*renumbering.spaces, *([Imm.FUNC] if self._names else [])}
        if place is not None:
            section = self.module.sections[place]
            try:
                names = read_name_section(self._cursor(section.content, section.end), spaces)
            except DecodeError:  # custom sections cannot make a module invalid
                if not needed:
                    return None
                self.dropped.append("name")
                replacements[place] = None
                place = None
        needed |= self._move_names(names, renumbering)
        for index, name in self._names.items():
            names.set_name(FUNCTION, index, name)
        if place is None:
            return names.encode() if self._names else None
        if needed:
            replacements[place] = names.encode()
        return None

    def _name_place(self) -> int | None:
        sections = enumerate(self.module.sections)
        return next((p for p, s in sections if s.id == 0 and s.name == "name"), None)

    def _move_names(self, names: NameSection, renumbering: Renumbering) -> bool:
        """Renumber; whether labels, which are counted, lost their names to new code."""
        first = len(self.module.imported("func"))
        labels = names.maps.get(LABEL, {})
        drafted = () if self._code is None else self._code.drafted
        lost = [labels.pop(first + index, None) for index in (*self._bodies, *drafted)]
        for space in sorted(renumbering.spaces, key=lambda space: space.value):
            names.move(space, partial(renumbering.index, space))
        if renumbering.spaces:  # what is not known may hold indices
            names.others = {k: v for k, v in names.others.items() if k == MODULE or k in SPACE_OF}
        return any(lost)

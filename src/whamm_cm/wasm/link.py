"""A static linker: several core modules become one, with the imports among them resolved.

In one module all active segments are applied before any start function runs, in the order of the
parts' starts; parts instantiated one by one would interleave the two.  A part whose start function
reads what another part's later segments write would see the difference.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Literal

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import DecodeError, InternalError
from whamm_cm.kernel import layout
from whamm_cm.kernel.layout import Do
from whamm_cm.wasm import encoding
from whamm_cm.wasm.code_edit import CodeEdit
from whamm_cm.wasm.cursor import Buffer, Cursor
from whamm_cm.wasm.customs import is_about_code
from whamm_cm.wasm.instructions import scan
from whamm_cm.wasm.leb import unsigned
from whamm_cm.wasm.link_types import MergedTypes
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.names import FUNCTION, NameSection, read_name_section
from whamm_cm.wasm.opcodes import Imm, by_mnemonic
from whamm_cm.wasm.refs import Ref, index_of
from whamm_cm.wasm.renumber import Edit, Renumbering, splice
from whamm_cm.wasm.rewrite import Draft, Moved, Templates
from whamm_cm.wasm.section_refs import Entries, read_entries, read_import_entries
from whamm_cm.wasm.sections import Section, SectionId, join
from whamm_cm.wasm.types import ExternType

_KINDS = ("func", "table", "memory", "global", "tag")
_GC_PREFIX = 0xFB
_REF_FUNC = frozenset(by_mnemonic("ref.func"))


@dataclass(frozen=True, slots=True)
class Part:
    """A module to link.

    ``provides``: the module name under which others import this part's exports.  ``keep_exports``:
    all of them, those of a mapping (name here → name in the merged module), or none.
    """

    name: str
    wasm: bytes | CoreModule
    provides: str | None = None
    keep_exports: Literal["all"] | Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """What index ``index`` of a kind is in part ``part``."""

    part: int
    kind: str
    index: int


def link(parts: Sequence[Part], *, start_order: Sequence[str] | None = None) -> bytes:
    """One module of ``parts``; the first is the guest, whose indices change as little as may be.

    Every import whose module name is some part's ``provides`` becomes that part's export (or what
    that in turn imports); all others stay imports, in the order of the parts, not merged.
    ``start_order`` names parts in the order in which their segments are applied and their start
    functions run; parts it does not name come after, in their order.

    Custom sections are the first part's, without those about code (``customs.about_code``); names
    of functions of other parts get the part's name and a dot in front.  Raises InternalError when
    an export is missing, of another type, imported in a circle, or when two have one name.
    """
    return _Linker(parts, start_order or ()).encode()


class _Linker:
    def __init__(self, parts: Sequence[Part], start_order: Sequence[str]) -> None:
        self.parts = parts
        self.modules = [
            part.wasm if isinstance(part.wasm, CoreModule) else CoreModule(part.wasm)
            for part in parts
        ]
        self.providers: dict[str, int] = {}
        for number, part in enumerate(parts):
            if (
                part.provides is not None
                and self.providers.setdefault(part.provides, number) != number
            ):
                raise InternalError(f"two linked modules provide {part.provides!r}")
        names = [part.name for part in parts]
        if not set(start_order) <= set(names):
            raise InternalError(f"no linked module is named {min(set(start_order) - set(names))!r}")
        self.order = sorted(
            range(len(parts)),
            key=lambda p: start_order.index(names[p]) if names[p] in start_order else len(parts),
        )
        self.types = MergedTypes(self.modules)
        self.check_imports()
        self.entries: dict[tuple[int, int], Entries | None] = {}
        self.globals = self.ordered_globals()
        self.counts: dict[str, int] = {}
        self.final: dict[_Place, int] = {}
        for kind in _KINDS:
            self.number(kind)
        self.renumberings = [self.renumbering(part) for part in range(len(parts))]

    # What imports are.

    def defined(self, part: int, kind: str) -> int:
        module = self.modules[part]
        found: Sequence[object] = {
            "func": module.functions,
            "table": module.tables,
            "memory": module.memories,
            "global": module.globals,
            "tag": module.tags,
        }[kind]
        return len(found)

    def resolve(self, place: _Place) -> _Place:
        """The definition, or the import that stays one, behind ``place``."""
        seen = set()
        while place not in seen:
            seen.add(place)
            imports = self.modules[place.part].imported(place.kind)
            if place.index >= len(imports):
                return self.checked(place, place.index - len(imports))
            wanted = imports[place.index]
            provider = self.providers.get(wanted.module)
            if provider is None:
                return place
            export = self.modules[provider].export(wanted.name)
            name = f"{wanted.module!r} {wanted.name!r}"
            if export is None:
                raise InternalError(f"the module linked as {name.split()[0]} lacks {wanted.name!r}")
            if export.kind != place.kind:
                raise InternalError(f"{name} is a {export.kind}, but imported as a {place.kind}")
            place = _Place(provider, export.kind, export.index)
        raise InternalError(f"{wanted.module!r} {wanted.name!r} is imported in a circle")

    def checked(self, place: _Place, position: int) -> _Place:
        if position < self.defined(place.part, place.kind):
            return place
        module, message = self.modules[place.part], f"{place.kind} index {place.index}"
        raise DecodeError(f"{message} is out of bounds", module.offset, module.path)

    def at(self, part: int, kind: str, index: int) -> int:
        """The merged index of what a part means by an index."""
        return self.final[self.resolve(_Place(part, kind, index))]

    def check_imports(self) -> None:
        for part, module in enumerate(self.modules):
            for kind in _KINDS:
                for index, wanted in enumerate(module.imported(kind)):
                    target = self.resolve(_Place(part, kind, index))
                    given = self.type_of(target)
                    if not self.types.fits(part, wanted.type, target.part, given):
                        raise InternalError(
                            f"{wanted.module!r} {wanted.name!r} is not of the type with which "
                            f"{self.parts[part].name} imports it"
                        )

    def type_of(self, place: _Place) -> ExternType:
        module, index = self.modules[place.part], place.index
        imports = module.imported(place.kind)
        if index < len(imports):
            return imports[index].type
        index -= len(imports)
        defined: dict[str, Callable[[], ExternType]] = {
            "func": lambda: module.functions[index],
            "table": lambda: module.tables[index].type,
            "memory": lambda: module.memories[index],
            "global": lambda: module.globals[index].type,
            "tag": lambda: module.tags[index],
        }
        return defined[place.kind]()

    # Index spaces.

    def number(self, kind: str) -> None:
        """Imports that stay first, then definitions, each in the order of the parts."""
        count, resolved = 0, []
        for part, module in enumerate(self.modules):
            for index in range(len(module.imported(kind))):
                place = _Place(part, kind, index)
                target = self.resolve(place)
                if target != place:
                    resolved.append((place, target))
                    continue
                self.final[place] = count
                count += 1
        for place in self.globals if kind == "global" else self.definitions(kind):
            self.final[place] = count
            count += 1
        for place, target in resolved:
            self.final[place] = self.final[target]
        self.counts[kind] = count

    def definitions(self, kind: str) -> list[_Place]:
        return [
            _Place(part, kind, len(module.imported(kind)) + index)
            for part, module in enumerate(self.modules)
            for index in range(self.defined(part, kind))
        ]

    def ordered_globals(self) -> list[_Place]:
        """Defined globals in order of the parts, each after those its initial value needs."""
        found: dict[_Place, None] = {}
        open_ones: set[_Place] = set()

        def visit(place: _Place) -> None:
            if place in found:
                return
            if place in open_ones:
                raise InternalError("globals of linked modules need each other's values")
            open_ones.add(place)
            for needed in self.needed_globals(place):
                visit(needed)
            found[place] = None

        for place in self.definitions("global"):
            visit(place)
        return list(found)

    def needed_globals(self, place: _Place) -> list[_Place]:
        """The globals of other parts that the initial value of ``place`` has to name."""
        entries = self.read(place.part, SectionId.GLOBAL)
        assert entries is not None
        start, end = entries.spans[self.position(place)]
        found = []
        for at, stop, space, _ in entries.refs:
            if space is Imm.GLOBAL and start <= at < end:
                target = self.global_at(place.part, at, stop)
                if target.part != place.part and self.is_defined(target):
                    found.append(target)
        return found

    def global_at(self, part: int, start: int, end: int) -> _Place:
        index = index_of(bytes(self.modules[part].data[start:end]))
        return self.resolve(_Place(part, "global", index))

    def position(self, place: _Place) -> int:
        """Which of the definitions of its part and kind ``place`` is."""
        return place.index - len(self.modules[place.part].imported(place.kind))

    def is_defined(self, place: _Place) -> bool:
        return self.position(place) >= 0

    def renumbering(self, part: int) -> Renumbering:
        module = self.modules[part]
        maps = {Imm.TYPE: Moved(self.types.maps[part])}
        for kind in _KINDS:
            total = len(module.imported(kind)) + self.defined(part, kind)
            to = [self.at(part, kind, index) for index in range(total)]
            maps[Imm(kind)] = Moved(to)
        before = self.order[: self.order.index(part)]
        elements = sum(len(self.modules[p].elements) for p in before)
        data = sum(len(self.modules[p].data_segments) for p in before)
        maps[Imm.ELEM] = Moved(range(elements, elements + len(module.elements)))
        maps[Imm.DATA] = Moved(range(data, data + len(module.data_segments)))
        return Renumbering(maps, offset=module.offset, path=module.path)

    # Sections.

    def cursor(self, part: int, start: int, end: int) -> Cursor:
        module = self.modules[part]
        return Cursor(module.data, start, end, module.offset, module.path)

    def read(self, part: int, number: int) -> Entries | None:
        """The entries of a section, None when the part has none."""
        if (part, number) not in self.entries:
            section = self.modules[part].section(number)
            self.entries[part, number] = (
                None
                if section is None
                else read_entries(self.cursor(part, section.start, section.end), number)
            )
        return self.entries[part, number]

    def edits(self, part: int, refs: Iterable[Ref]) -> list[Edit]:
        """New indices; a constant of another part is written out where it is got.

        Not every engine lets constant expressions get globals that are not imported.
        """
        found: list[Edit] = []
        data = self.modules[part].data
        for ref in refs:
            value = self.constant(part, ref) if ref[2] is Imm.GLOBAL else None
            if value is None:
                found += self.renumberings[part].edits(data, [ref])
            else:
                found.append((ref[0] - 1, ref[1], value))  # from the opcode of global.get on
        return found

    def constant(self, part: int, ref: Ref) -> bytes | None:
        """What makes the value of another part's global, None if it must be got from there."""
        target = self.global_at(part, ref[0], ref[1])
        if target.part == part or not self.is_defined(target):
            return None
        module = self.modules[target.part]
        entries = self.read(target.part, SectionId.GLOBAL)
        assert entries is not None
        start, end = entries.spans[self.position(target)]
        code = end - len(module.globals[self.position(target)].init)
        if any(row.prefix == _GC_PREFIX for _, row, _ in scan(module.data, code, end)):
            return None  # makes a new object each time
        inside = [inner for inner in entries.refs if code <= inner[0] < end]
        return bytes(splice(module.data, code, end - 1, self.edits(target.part, inside)))

    def imports(self) -> list[bytes]:
        found = []
        for part, module in enumerate(self.modules):
            section, seen = module.section(SectionId.IMPORT), dict.fromkeys(_KINDS, 0)
            if section is None:
                continue
            for entry in read_import_entries(self.cursor(part, section.start, section.end)):
                place = _Place(part, entry.kind, seen[entry.kind])
                seen[entry.kind] += 1
                if self.resolve(place) == place:
                    edits = self.renumberings[part].edits(module.data, entry.refs)
                    described = splice(module.data, entry.start, entry.end, edits)
                    found.append(entry.names + bytes(described))
        return found

    def contents(self, number: int, parts: Iterable[int]) -> tuple[int, list[Buffer]]:
        """Entries of a section in the order of ``parts``: how many, and their bytes."""
        count, found = 0, list[Buffer]()
        for part in parts:
            entries = self.read(part, number)
            if entries is not None and entries.spans:
                count += len(entries.spans)
                edits = self.edits(part, entries.refs)
                end = entries.spans[-1][1]
                found.append(splice(self.modules[part].data, entries.first, end, edits))
        return count, found

    def memories(self) -> tuple[int, list[Buffer]]:
        types = [memory.encode() for m in self.modules for memory in m.memories]
        return len(types), list(types)

    def global_section(self) -> tuple[int, list[Buffer]]:
        found: list[Buffer] = []
        edits: dict[int, list[Edit]] = {}
        for place in self.globals:
            entries = self.read(place.part, SectionId.GLOBAL)
            assert entries is not None
            if place.part not in edits:
                edits[place.part] = self.edits(place.part, entries.refs)
            start, end = entries.spans[self.position(place)]
            known = edits[place.part]
            inside = known[bisect_left(known, (start,)) : bisect_left(known, (end,))]
            found.append(splice(self.modules[place.part].data, start, end, inside))
        return len(found), found

    def exports(self) -> list[bytes]:
        found: dict[str, bytes] = {}
        for number, part in enumerate(self.parts):
            for export in self.modules[number].exports:
                name = self.kept(part, export.name)
                if name is None:
                    continue
                if name in found:
                    raise InternalError(f"two linked modules export {name!r}")
                final = self.at(number, export.kind, export.index)
                found[name] = encoding.export(name, export.kind, final)
        return list(found.values())

    @staticmethod
    def kept(part: Part, name: str) -> str | None:
        return name if part.keep_exports == "all" else (part.keep_exports or {}).get(name)

    def undeclared(self) -> list[int]:
        """Functions that ``ref.func`` may name only because an export that goes did so."""
        found: set[int] = set()
        for number, part in enumerate(self.parts):
            module = self.modules[number]
            lost = {
                e.index for e in module.exports if e.kind == "func" and not self.kept(part, e.name)
            }
            if lost:
                named = self.named_in_code(module)
                found |= {self.at(number, "func", index) for index in lost & named}
        return sorted(found)

    @staticmethod
    def named_in_code(module: CoreModule) -> set[int]:
        found = module.find(_REF_FUNC)
        return {index_of(bytes(module.data[at + 1 : end])) for at, _, end in found}

    def bodies(self) -> list[Buffer]:
        found: list[Buffer] = []
        for module, renumbering in zip(self.modules, self.renumberings, strict=True):
            bodies = module.bodies
            if bodies:
                # Each is written anew, so that no size is longer than it need be.
                ends = enumerate(bodies.column(layout.END))
                drafts = {n: Draft((Do.STOP, end)) for n, end in ends}
                code = CodeEdit(module)
                found += code.write(drafts, Templates(), renumbering.maps).pieces
        return found

    def starts(self) -> list[int]:
        """The start functions in order."""
        return [
            self.at(part, "func", start)
            for part in self.order
            if (start := self.modules[part].start) is not None
        ]

    # The module.

    def encode(self) -> bytes:
        every = range(len(self.parts))
        types, starts = list(self.types.groups), self.starts()
        functions = self.contents(SectionId.FUNCTION, every)
        codes = functions[0], self.bodies()
        if len(starts) > 1:
            calls = b"".join(b"\x10" + unsigned(start) for start in starts)
            starts = [self.counts["func"]]
            types.append(encoding.func_type((), ()))
            functions = functions[0] + 1, [*functions[1], unsigned(self.types.count)]
            codes = codes[0] + 1, [*codes[1], *encoding.entry([b"\0", calls, b"\x0b"])]
        elements, undeclared = self.contents(SectionId.ELEMENT, self.order), self.undeclared()
        if undeclared:
            elements = elements[0] + 1, [*elements[1], encoding.declared_funcs(undeclared)]
        data = self.contents(SectionId.DATA, self.order)
        imports, exports = self.imports(), self.exports()
        counted = any(module.data_count is not None for module in self.modules)
        sections: tuple[tuple[int, int, Sequence[Buffer]], ...] = (
            (SectionId.TYPE, len(types), types),
            (SectionId.IMPORT, len(imports), imports),
            (SectionId.FUNCTION, *functions),
            (SectionId.TABLE, *self.contents(SectionId.TABLE, every)),
            (SectionId.MEMORY, *self.memories()),
            (SectionId.TAG, *self.contents(SectionId.TAG, every)),
            (SectionId.GLOBAL, *self.global_section()),
            (SectionId.EXPORT, len(exports), exports),
            (SectionId.START, starts[0] if starts else 0, [b""] if starts else []),
            (SectionId.ELEMENT, *elements),
            (SectionId.DATA_COUNT, data[0], [b""] if counted else []),
            (SectionId.CODE, *codes),
            (SectionId.DATA, *data),
        )
        known = [
            (number, b"".join((unsigned(count), *items)), 1)
            for number, count, items in sections
            if items
        ]
        leading, trailing = self.customs()
        return join([*leading, *known, *trailing])

    def customs(self) -> tuple[list[tuple[int, Buffer, int]], list[tuple[int, Buffer, int]]]:
        """Custom sections of the first part: those before its other sections, and the rest."""
        sides: tuple[list[tuple[int, Buffer, int]], ...] = ([], [])
        behind = 0
        for section in self.modules[0].sections:
            behind |= section.id != SectionId.CUSTOM
            if section.id != SectionId.CUSTOM or section.name == "name" or is_about_code(section):
                continue
            sides[behind].append((section.id, section.payload, section.size_width))
        names = self.names().encode()
        if len(names) > len(NameSection().encode()):
            sides[1].append((SectionId.CUSTOM, names, 1))
        return sides[0], sides[1]

    def names(self) -> NameSection:
        merged = NameSection()
        for part, module in enumerate(self.modules):
            section = next((s for s in module.custom_sections if s.name == "name"), None)
            names = self.part_names(part, section) if section else NameSection()
            if part == 0:
                merged.others = {0: names.others[0]} if 0 in names.others else {}
            for subsection, found in names.maps.items():
                into = merged.maps.setdefault(subsection, {})
                for index, rest in found.items():
                    into.setdefault(index, rest)
        return merged

    def part_names(self, part: int, section: Section) -> NameSection:
        """The names of what is this part's own, by final index; none of a malformed section."""
        try:
            names = read_name_section(self.cursor(part, section.content, section.end))
        except DecodeError:
            return NameSection()
        if part:
            lead = self.parts[part].name.encode() + b"."
            for index, rest in names.maps.get(FUNCTION, {}).items():
                cur = Cursor(rest, 0, len(rest))
                cur.u32("the length of a name")
                text = lead + rest[cur.pos :]
                names.maps[FUNCTION][index] = unsigned(len(text)) + text
        for space in (*map(Imm, _KINDS), Imm.TYPE, Imm.ELEM, Imm.DATA):
            names.move(space, partial(self.own_index, part, space))
        return names

    def own_index(self, part: int, space: Imm, index: int) -> int | None:
        if space.value in _KINDS:
            place = _Place(part, space.value, index)
            if place not in self.final or self.resolve(place) != place:
                return None
            return self.final[place]
        try:
            return self.renumberings[part].index(space, index)
        except IndexError:
            return None

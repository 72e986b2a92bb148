"""The type section of linked modules, and whether an import fits what is provided for it.

Types are equal when their recursion groups are (core specification 2.3.8): equal groups of later
parts become those of earlier ones, so equal types of different parts get one index.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from whamm_cm.errors import DecodeError
from whamm_cm.wasm.cursor import Cursor
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.opcodes import Imm
from whamm_cm.wasm.refs import Ref, index_of
from whamm_cm.wasm.renumber import Renumbering, splice
from whamm_cm.wasm.rewrite import Moved
from whamm_cm.wasm.section_refs import read_entries
from whamm_cm.wasm.sections import SectionId
from whamm_cm.wasm.types import ExternType, GlobalType, MemoryType, TableType

_INDEX = re.compile(r"(?<= )\d+(?=\))")
_Key = tuple[object, ...]


class MergedTypes:
    """``groups``: the entries of the merged type section; ``maps``: part → its type → merged."""

    def __init__(self, modules: Sequence[CoreModule]) -> None:
        self.modules = modules
        self.groups: list[bytes] = []
        self.maps: list[list[int]] = []
        self._known: dict[_Key, int] = {}
        self._canonical: list[int] = []  # merged index → the first one that is equal
        for module in modules:
            self._add(module)

    @property
    def count(self) -> int:
        return len(self._canonical)

    def _add(self, module: CoreModule) -> None:
        to: list[int] = []
        self.maps.append(to)
        section = module.section(SectionId.TYPE)
        if section is None:
            return
        cur = Cursor(module.data, section.start, section.end, module.offset, module.path)
        entries = read_entries(cur, SectionId.TYPE)
        sizes = [0] * len(entries.spans)
        for definition in module.types:
            sizes[definition.group] += 1
        kept, refs = [], iter([*entries.refs, None])
        ref = next(refs)
        for (start, end), size in zip(entries.spans, sizes, strict=True):
            inside: list[Ref] = []
            while ref is not None and ref[0] < end:
                inside.append(ref)
                ref = next(refs)
            if self._group(module, (start, end), inside, size, to):
                kept.append((start, end, inside))
        renumbering = Renumbering({Imm.TYPE: Moved(to)}, offset=module.offset, path=module.path)
        for start, end, inside in kept:
            edits = renumbering.edits(module.data, inside)
            self.groups.append(bytes(splice(module.data, start, end, edits)))

    def _group(
        self,
        module: CoreModule,
        span: tuple[int, int],
        refs: Sequence[Ref],
        size: int,
        to: list[int],
    ) -> bool:
        """Give merged indices to a group's types; whether the group is to be written."""
        first, base, parts, position = len(to), self.count, list[object](), span[0]
        for start, end, _, _ in refs:
            index = index_of(bytes(module.data[start:end]))
            inner = index >= first
            parts += (
                bytes(module.data[position:start]),
                inner,
                index - first if inner else self._canonical[to[index]],
            )
            position = end
        key = (*parts, bytes(module.data[position : span[1]]))
        known = self._known.setdefault(key, base)
        new = known == base or len(self.maps) == 1  # part 0 keeps its indices
        to += range(base if new else known, (base if new else known) + size)
        if new:
            self._canonical += range(known, known + size)
        return new

    def canonical(self, part: int, index: int) -> int:
        """The first merged type that equals type ``index`` of a part."""
        if index < len(self.maps[part]):
            return self._canonical[self.maps[part][index]]
        module = self.modules[part]
        raise DecodeError(f"type index {index} is out of bounds", module.offset, module.path)

    def _names(self, part: int, kind: str) -> str:
        return _INDEX.sub(lambda found: str(self.canonical(part, int(found[0]))), kind)

    def _is_subtype(self, part: int, index: int, wanted: int) -> bool:
        if self.canonical(part, index) == wanted:
            return True
        above = self.modules[part].types[index].supertypes
        return any(self._is_subtype(part, upper, wanted) for upper in above if upper < index)

    def fits(self, user: int, wanted: ExternType, part: int, given: ExternType) -> bool:
        """Whether ``given`` of ``part`` may be imported as ``wanted`` by ``user``.

        Of immutable globals of reference type only that both are references is looked at: whether
        one is a subtype of the other shows when the result is validated.
        """
        if isinstance(wanted, int):
            return isinstance(given, int) and self._is_subtype(
                part, given, self.canonical(user, wanted)
            )
        if isinstance(wanted, GlobalType) and isinstance(given, GlobalType):
            if (wanted.mutable, wanted.shared) != (given.mutable, given.shared):
                return False
            same = self._names(user, wanted.type) == self._names(part, given.type)
            return same or not wanted.mutable and "ref" in wanted.type and "ref" in given.type
        if isinstance(wanted, TableType) and isinstance(given, TableType):
            same = self._names(user, wanted.element) == self._names(part, given.element)
            return same and _limits_fit(wanted, given)
        if isinstance(wanted, MemoryType) and isinstance(given, MemoryType):
            return wanted.page_size_log2 == given.page_size_log2 and _limits_fit(wanted, given)
        return False


def _limits_fit(wanted: TableType | MemoryType, given: TableType | MemoryType) -> bool:
    if (wanted.is64, wanted.shared) != (given.is64, given.shared) or given.min < wanted.min:
        return False
    return wanted.max is None or given.max is not None and given.max <= wanted.max

"""Bytes → IR: components (Binary.md) with every index turned into a reference as it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from whamm_cm.component import nodes as n
from whamm_cm.component.definitions import VECTORS, ReadDefinition, start
from whamm_cm.component.ir import Component, Definition, Group, SectionId
from whamm_cm.component.items import Sort
from whamm_cm.component.names import SECTION_NAME, read_names
from whamm_cm.component.reader import MAX_DEPTH, Reader, Scope
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import DecodeError, InputError
from whamm_cm.wasm.module import CoreModule

COMPONENT_PREAMBLE = b"\0asm\x0d\0\x01\0"
MODULE_PREAMBLE = b"\0asm\x01\0\0\0"

_STEPS = {
    SectionId.CUSTOM: "custom",
    SectionId.CORE_MODULE: "module",
    SectionId.CORE_INSTANCE: "core instance",
    SectionId.CORE_TYPE: "core type",
    SectionId.COMPONENT: "component",
    SectionId.INSTANCE: "instance",
    SectionId.ALIAS: "alias",
    SectionId.TYPE: "type",
    SectionId.CANON: "canon",
    SectionId.START: "start",
    SectionId.IMPORT: "import",
    SectionId.EXPORT: "export",
    SectionId.VALUE: "value",
}


def check_component(data: bytes, what: str = "input") -> None:
    """Raise an :class:`InputError` with a remedy unless ``data`` starts like a component."""
    if data[:8] == COMPONENT_PREAMBLE:
        return
    if not data:
        raise InputError(f"{what} is empty, expected a WebAssembly component")
    if data[:8] == MODULE_PREAMBLE:
        raise InputError(
            f"{what} is a core WebAssembly module, not a component; make it one first,"
            " for example with `wasm-tools component new`"
        )
    if data[:4] == b"\0asm":
        version = data[4:8].hex(" ")
        raise InputError(f"{what} has the unknown version and layer bytes {version} (at offset 4)")
    if b"(component" in data[:4096]:
        raise InputError(f"{what} is component text; assemble it first, with `wasm-tools parse`")
    if data[:4] == b"\x7fELF":
        raise InputError(
            f"{what} is not WebAssembly but machine code, as `wasmtime compile` makes it; name the"
            " component it was made of"
        )
    raise InputError(f"{what} is not WebAssembly (no \\0asm at offset 0)")


def decode(data: bytes, what: str = "input") -> Component:
    """Decode a binary component.  Core modules stay slices of ``data`` until they are looked at.

    Raises :class:`InputError` for something that is no component and :class:`DecodeError` (with
    offset and nesting path) for a malformed one or a construct whose indices we cannot see.
    """
    check_component(data, what)
    try:
        return _component(Reader(data, 0, len(data)), Scope(True, None))
    except DecodeError as error:
        if what == "input":
            raise
        raise DecodeError(error.message, error.offset, error.path, what) from None


def _component(r: Reader, scope: Scope) -> Component:
    """Read a component whose preamble is at ``r``."""
    if scope.depth > MAX_DEPTH:
        raise r.error(f"components are nested deeper than {MAX_DEPTH} levels")
    offset = r.pos
    if r.take(8, "component preamble") != COMPONENT_PREAMBLE:
        raise r.error("not a component: it does not begin with \\0asm and layer 1", offset)
    definitions: list[Definition] = []
    counts = dict.fromkeys(_STEPS, 0)
    while r.left:
        at, number = r.pos, r.u8("a section id")
        if number not in _STEPS:
            raise r.error(f"unknown component section {number}", at)
        size_at, size = r.pos, r.u32("the size of a section")
        what, group = f"{_STEPS[number]} section", Group(r.pos - size_at)
        section = _Section(r.inner(size, what), scope, number, group, counts[number])
        found = _READ.get(number, _vector)(section)
        section.r.finish(what)
        definitions += found
        if not isinstance(found[0].node, n.EmptySection):
            counts[number] += len(found)
    _read_names(definitions, scope)
    return Component(tuple(definitions), r.path, offset, r.end - offset)


@dataclass(frozen=True, slots=True)
class _Section:
    """A section that is being read; ``nth``: definitions of its kind the component has already."""

    r: Reader
    scope: Scope
    id: int
    group: Group
    nth: int

    def definition(self, nth: int, read: ReadDefinition) -> Definition:
        self.r.begin()
        offset = self.r.pos
        try:
            node, items = read(self.r, self.scope)
        except DecodeError as fault:
            raise self.r.inside(f"{_STEPS[self.id]}[{nth}]", fault) from None
        return Definition(self.id, node, items, self.r.collected(), self.group, offset)


def _nested(s: _Section) -> list[Definition]:
    r, offset = s.r, s.r.pos
    r.path = f"{r.path}.{_STEPS[s.id]}[{s.nth}]".lstrip(".")
    node: Component | CoreModule
    if s.id == SectionId.CORE_MODULE:
        node = CoreModule(memoryview(r.data)[r.pos : r.end], r.pos, r.path)
        r.pos = r.end
        item = s.scope.new(Sort.CORE_MODULE)
    else:
        node = _component(r, Scope(True, s.scope))
        item = s.scope.new(Sort.COMPONENT)
    return [Definition(s.id, node, (item,), (), s.group, offset)]


def _custom(s: _Section) -> list[Definition]:
    r, offset = s.r, s.r.pos
    payload = memoryview(r.data)[offset : r.end]
    name = r.name("custom section name")
    node = n.Custom(name, payload[r.pos - offset :])
    r.pos = r.end
    return [Definition(s.id, node, (), (payload,), s.group, offset)]


def _start(s: _Section) -> list[Definition]:
    return [s.definition(s.nth, start)]


def _vector(s: _Section) -> list[Definition]:
    at, count = s.r.pos, s.r.count("definitions")
    s = replace(s, group=Group(s.group.size_width, s.r.pos - at))
    if not count:
        return [Definition(s.id, n.EmptySection(), (), (), s.group, s.r.pos)]
    return _definitions(s, count)


def _definitions(s: _Section, count: int) -> list[Definition]:
    """The definitions of a section, as Binary.md or as toolchains write them.

    They differ in the ``shared`` immediate of ``thread.spawn`` and in ``value`` types, both of them
    gated features.  The section's count and size tell which it is; where both readings fit, nothing
    is guessed.
    """
    begin, lengths = s.r.pos, [len(space) for space in s.scope.spaces]

    def read(toolchain: bool) -> list[Definition]:
        s.r.pos, s.r.toolchain = begin, toolchain
        for space, length in zip(s.scope.spaces, lengths, strict=True):
            del space[length:]
        found = [s.definition(nth, VECTORS[s.id]) for nth in range(s.nth, s.nth + count)]
        s.r.finish(f"{_STEPS[s.id]} section")
        return found

    def fits(toolchain: bool) -> bool:
        try:
            read(toolchain)
        except DecodeError:
            return False
        return True

    try:
        found = read(False)
    except DecodeError:
        if not s.r.forked:
            raise
        return read(fits(True))
    if not s.r.forked:
        return found
    if fits(True):
        raise s.r.error("a `shared` or `value` that can be read in two ways", begin)
    return read(False)


def _read_names(definitions: list[Definition], scope: Scope) -> None:
    """Understand name sections, now that ``scope`` holds the whole component."""
    for position, found in enumerate(definitions):
        node = found.node
        if isinstance(node, n.Custom) and node.name == SECTION_NAME:
            try:
                names = read_names(node.data, scope)
            except DecodeError:
                continue  # a malformed name section makes no component invalid (Binary.md)
            definitions[position] = replace(found, node=names)


_READ: dict[int, Callable[[_Section], list[Definition]]] = {
    SectionId.CUSTOM: _custom,
    SectionId.CORE_MODULE: _nested,
    SectionId.COMPONENT: _nested,
    SectionId.START: _start,
}

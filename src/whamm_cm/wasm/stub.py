"""Stand-ins for core modules: the same imports and exports, and no code to speak of."""

from __future__ import annotations

import re

from whamm_cm.wasm.cursor import Buffer, Cursor
from whamm_cm.wasm.instructions import scan
from whamm_cm.wasm.leb import unsigned
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.sections import Section, SectionId, join
from whamm_cm.wasm.types import KINDS

#: Sections that are not part of a module's external type and that no other kept section needs.
#: ``ref.func`` in a global's or table's initializer declares its function by itself, and only code
#: names element and data segments, so all of these can go.
_DROPPED = frozenset(
    (
        SectionId.CUSTOM,
        SectionId.START,
        SectionId.ELEMENT,
        SectionId.DATA_COUNT,
        SectionId.CODE,
        SectionId.DATA,
    )
)
#: size 3, no locals, unreachable, end: valid for every function type.
_BODY = b"\x03\x00\x00\x0b"
_REF_FUNC = 0xD2
# Python before 3.11.5 restores the position wrongly when a possessive repeat ends within an
# alternative.  A greedy one means the same here, because what follows it always matches.
_fixed = re.match(rb"(?:ab?c)*+", b"aca")
_REPEAT = b"*+" if _fixed and _fixed.end() == 0 else b"*"
#: Globals of a number type whose initializers are constants, other globals and what is added up.
_PLAIN = re.compile(
    rb"(?:[\x7c-\x7f][\0\1]"
    rb"(?:[\x23\x41\x42][\x80-\xff]{0,9}[\0-\x7f]|\x43.{4}|\x44.{8}|[\x6a-\x6c\x7c-\x7e])+\x0b)%s"
    % _REPEAT,
    re.S,
)


def stub_module(module: CoreModule) -> bytes:
    """A valid module with exactly the imports and exports of ``module``; every body traps.

    Takes a few copies of the small sections and looks at no code: it stands in for ``module`` where
    a component around it is to be validated without compiling megabytes.  Exported functions of one
    type share one body, so that a module of ten thousand functions has some dozen left.  Raises
    DecodeError when the module cannot be cut into sections or these not into entries.
    """
    kept: dict[int, tuple[Buffer, int]] = {
        s.id: (s.payload, s.size_width) for s in module.sections if s.id not in _DROPPED
    }
    functions = module.section(SectionId.FUNCTION)
    if functions is not None:
        count = _count(module, functions)
        if not _names_functions(module):
            count = _share(module, kept)
        if count:
            kept[SectionId.CODE] = unsigned(count) + _BODY * count, 1
    return join((number, payload, width) for number, (payload, width) in kept.items())


def _unplain(module: CoreModule, section: Section) -> Buffer:
    """What is behind the leading globals that start with a number: counters come by the hundred
    thousand."""
    cur = Cursor(module.data, section.start, section.end, module.offset, module.path)
    cur.u32()
    match = _PLAIN.match(module.data, cur.pos, section.end)
    return module.data[section.start if match is None else match.end() : section.end]


def _count(module: CoreModule, functions: Section) -> int:
    cur = Cursor(module.data, functions.start, functions.end, module.offset, module.path)
    return cur.count("function")


def _names_functions(module: CoreModule) -> bool:
    """Whether an initializer names a function by its index, so that all must keep theirs."""
    sections = (module.section(SectionId.GLOBAL), module.section(SectionId.TABLE))
    if not any(s is not None and _REF_FUNC in _unplain(module, s) for s in sections):
        return False
    initializers = [entry.init for entry in module.globals]
    initializers += [entry.init for entry in module.tables if entry.init is not None]
    return any(
        opcode.mnemonic == "ref.func"
        for init in initializers
        for _, opcode, _ in scan(init, 0, len(init), offset=module.offset, path=module.path)
    )


def _share(module: CoreModule, kept: dict[int, tuple[Buffer, int]]) -> int:
    """Leave one function for each type an exported one has; the number of them."""
    imported = len(module.imported("func"))
    by_type: dict[int, int] = {}
    rows = bytearray(unsigned(len(module.exports)))
    for export in module.exports:
        index = export.index
        if export.kind == "func" and imported <= index < imported + len(module.functions):
            kind = module.functions[index - imported]
            index = imported + by_type.setdefault(kind, len(by_type))
        name = export.name.encode()
        rows += unsigned(len(name)) + name + bytes((KINDS.index(export.kind),)) + unsigned(index)
    if module.exports:
        kept[SectionId.EXPORT] = bytes(rows), 1
    kinds = b"".join(map(unsigned, by_type))
    kept[SectionId.FUNCTION] = unsigned(len(by_type)) + kinds, 1
    return len(by_type)

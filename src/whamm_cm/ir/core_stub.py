"""A core module's external type without its code."""

from __future__ import annotations

from whamm_cm.binary.core import Section, SectionId, join
from whamm_cm.binary.cursor import Cursor
from whamm_cm.binary.leb import unsigned
from whamm_cm.ir.core import CoreModule

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


def stub_module(module: CoreModule) -> bytes:
    """A valid module with exactly the imports and exports of ``module``; every body traps.

    Takes a few copies of the small sections and looks at no code: it stands in for ``module`` where
    a component around it is to be validated without compiling megabytes.  Raises DecodeError when
    the module cannot be cut into sections.
    """
    kept = [(s.id, s.payload, s.size_width) for s in module.sections if s.id not in _DROPPED]
    functions = module.section(SectionId.FUNCTION)
    count = _count(module, functions) if functions is not None else 0
    if count:
        kept.append((SectionId.CODE, memoryview(unsigned(count) + _BODY * count), 1))
    return join(kept)


def _count(module: CoreModule, functions: Section) -> int:
    cur = Cursor(module.data, functions.start, functions.end, module.offset, module.path)
    return cur.count("function")

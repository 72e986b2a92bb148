"""Debugging information entries: walks that end, whatever a section holds, and what all are asked.

pyelftools' own walks keep all they pass, which takes gigabytes where a unit is large, and follow
``DW_AT_sibling`` wherever it leads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from whamm_cm.demangle.name import demangle

#: A name may be that of an origin, and this one that of a declaration.
_MOST_STEPS = 4


def entries(unit: Any) -> Iterator[Any]:
    """All of a unit, in order; raises nearly anything for malformed sections, as all here."""
    top = unit.get_top_DIE()
    yield from _from(unit, top.stream, top.offset)


def below(entry: Any) -> Iterator[tuple[int, Any]]:
    """What is in an entry, with how deep it is: 1 for its children."""
    if not entry.has_children:
        return
    depth = 1
    for inner in _from(entry.cu, entry.stream, entry.offset + entry.size):
        if inner.is_null():
            depth -= 1
            if not depth:
                return
            continue
        yield depth, inner
        depth += inner.has_children


def children(entry: Any) -> Iterator[Any]:
    return (inner for depth, inner in below(entry) if depth == 1)


def _from(unit: Any, stream: Any, offset: int) -> Iterator[Any]:
    end, made = unit.cu_offset + unit.size, type(unit.get_top_DIE())
    while offset < end:
        entry = made(unit, stream, offset)
        yield entry
        offset += entry.size


def with_origins(entry: Any) -> Iterator[Any]:
    """An entry, and those that it takes further attributes from."""
    for _ in range(_MOST_STEPS):
        yield entry
        origin = next(
            (at for at in ("DW_AT_abstract_origin", "DW_AT_specification")
             if at in entry.attributes), None,
        )  # fmt: skip
        if origin is None:
            return
        entry = entry.get_DIE_from_attribute(origin)


def attribute(entry: Any, name: str) -> Any:
    """The value of an attribute of an entry or its origins; None when there is none."""
    for one in with_origins(entry):
        if name in one.attributes:
            return one.attributes[name].value
    return None


def short_name(entry: Any) -> str:
    """As the source has it; empty: none."""
    return str(attribute(entry, "DW_AT_name") or b"", "utf-8", "replace")


def full_name(entry: Any) -> str:
    """The name for linkers where that is a longer form of the one in the source, else that one:
    compilers call ``main`` of C ``__main_argc_argv`` there."""
    linked, plain = b"", b""
    for one in with_origins(entry):
        if "DW_AT_linkage_name" in one.attributes:
            linked = linked or one.attributes["DW_AT_linkage_name"].value
        if "DW_AT_name" in one.attributes:
            plain = plain or one.attributes["DW_AT_name"].value
    name = str(linked, "utf-8", "replace")
    source = str(plain, "utf-8", "replace")
    mangled = demangle(name) != name or name.endswith(f".{source}")
    return name if mangled or not source else source

"""The ``component-name`` custom section (Binary.md, "Name Section"), read and written.

Names follow their items: when a transform has moved an item, its row is written with the new index.
"""

from __future__ import annotations

from collections.abc import Mapping

from whamm_cm.component.items import SORT_BYTES, Item, Sort
from whamm_cm.component.nodes import NameSection
from whamm_cm.component.reader import Scope
from whamm_cm.component.types import sort
from whamm_cm.wasm.cursor import Cursor
from whamm_cm.wasm.leb import name_bytes, unsigned

SECTION_NAME = "component-name"
_COMPONENT, _SORT = 0, 1


def read_names(data: memoryview, scope: Scope) -> NameSection:
    """The section's content after its name.

    ``scope`` must hold the whole component, for the section may stand anywhere in it.  Raises
    DecodeError (with offsets in ``data``) when it is malformed.
    """
    r = Cursor(data, 0, len(data))
    component = None
    rows: list[tuple[Sort, int, Item, str]] = []
    while r.left:
        code = r.u8("a subsection")
        body = r.inner(r.u32("the size of a subsection"), "subsection")
        if code == _COMPONENT:
            component = body.name("component name")
        elif code == _SORT:
            rows += _sort_names(body, scope)
        else:
            continue  # nobody can say what it refers to: kept while nothing moves, else left out
        body.finish("subsection")
    return NameSection(component, tuple(rows), data)


def _sort_names(r: Cursor, scope: Scope) -> list[tuple[Sort, int, Item, str]]:
    kind = sort(r)
    space = scope.spaces[kind]
    pairs = r.vector("name", lambda r: (r.u32("an index"), r.name()))
    return [(kind, index, space[index], name) for index, name in pairs if index < len(space)]


def in_place(node: NameSection, numbers: Mapping[Item, int]) -> bool:
    """Whether every named item still has the index it had in the input."""
    return all(numbers.get(item) == index for _, index, item, _ in node.rows)


def write_names(node: NameSection, numbers: Mapping[Item, int]) -> bytes:
    """The whole section payload with the indices of ``numbers``."""
    out = name_bytes(SECTION_NAME)
    if node.component is not None:
        name = name_bytes(node.component)
        out += bytes((_COMPONENT,)) + unsigned(len(name)) + name
    by_sort: dict[Sort, list[tuple[int, str]]] = {}
    for kind, _, item, text in node.rows:
        if item in numbers:  # a definition that was replaced takes its name with it
            by_sort.setdefault(kind, []).append((numbers[item], text))
    for kind, rows in by_sort.items():
        body = SORT_BYTES[kind] + unsigned(len(rows))
        body += b"".join(unsigned(index) + name_bytes(text) for index, text in sorted(rows))
        out += bytes((_SORT,)) + unsigned(len(body)) + body
    return out

"""The name section taken apart by index, so that names follow what they name.

Core specification 7.4 ("Name Section") with the subsections of the extended name section proposal.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import field

from whamm_cm.dataclass import dataclass
from whamm_cm.wasm.cursor import Cursor
from whamm_cm.wasm.leb import name_bytes, unsigned
from whamm_cm.wasm.opcodes import Imm

MODULE, FUNCTION, LABEL = 0, 1, 3

#: Subsection → the space of its indices; those of ``_NESTED`` hold a name map for each index.
SPACE_OF: dict[int, Imm] = {
    FUNCTION: Imm.FUNC,
    2: Imm.FUNC,  # locals
    LABEL: Imm.FUNC,
    4: Imm.TYPE,
    5: Imm.TABLE,
    6: Imm.MEMORY,
    7: Imm.GLOBAL,
    8: Imm.ELEM,
    9: Imm.DATA,
    10: Imm.TYPE,  # fields
    11: Imm.TAG,
}
_NESTED = frozenset((2, LABEL, 10))


@dataclass(slots=True)
class NameSection:
    """``maps``: subsection → index → the bytes behind the index (a name, or a map of names).

    ``others``: the module's name, subsections this tool does not know, and those that were not
    asked for, as they were.
    """

    others: dict[int, bytes] = field(default_factory=dict)
    maps: dict[int, dict[int, bytes]] = field(default_factory=dict)

    def set_name(self, subsection: int, index: int, name: str) -> None:
        self.maps.setdefault(subsection, {})[index] = name_bytes(name)

    def move(self, space: Imm, to: Callable[[int], int | None]) -> None:
        """Renumber one space; indices that go to None lose their names."""
        for subsection, names in self.maps.items():
            if SPACE_OF[subsection] is space:
                moved = ((to(index), rest) for index, rest in names.items())
                self.maps[subsection] = {i: rest for i, rest in moved if i is not None}

    def encode(self) -> bytes:
        """The payload of the custom section, its name included."""
        found = dict(self.others)
        for subsection, names in self.maps.items():
            if names:
                entries = [unsigned(index) + names[index] for index in sorted(names)]
                found[subsection] = unsigned(len(entries)) + b"".join(entries)
        out = [name_bytes("name")]
        for subsection in sorted(found):
            out += (bytes((subsection,)), unsigned(len(found[subsection])), found[subsection])
        return b"".join(out)


def _skip_name(cur: Cursor) -> None:
    cur.skip(cur.u32("the length of a name"), "name")


def _skip_names(cur: Cursor) -> None:
    for _ in range(cur.count("name")):
        cur.u32("an index")
        _skip_name(cur)


def _map(cur: Cursor, skip: Callable[[Cursor], None]) -> dict[int, bytes]:
    found = {}
    for _ in range(cur.count("name")):
        index, start = cur.u32("an index"), cur.pos
        skip(cur)
        found[index] = bytes(cur.data[start : cur.pos])
    return found


def read_name_section(cur: Cursor, spaces: Collection[Imm] = frozenset(Imm)) -> NameSection:
    """What the custom section ``name`` holds; ``cur`` is behind the section's own name.  Only names
    of labels and those in ``spaces`` are taken apart.

    Raises DecodeError when it is malformed.
    """
    found = NameSection()
    while cur.left:
        subsection = cur.u8("a subsection")
        inner = cur.inner(cur.u32("a length"), "subsection")
        if subsection == LABEL or SPACE_OF.get(subsection) in spaces:
            skip = _skip_names if subsection in _NESTED else _skip_name
            found.maps[subsection] = _map(inner, skip)
            inner.finish("subsection")
        else:
            found.others[subsection] = bytes(inner.data[inner.pos : inner.end])
    return found

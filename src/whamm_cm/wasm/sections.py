"""Cutting a core module into sections and joining sections to a module.

Core specification 5.5.2 ("Sections") and 5.5.18 ("Modules").
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.wasm.cursor import Buffer, Cursor
from whamm_cm.wasm.leb import unsigned

PREAMBLE = b"\0asm\1\0\0\0"
#: What a section holds, or pieces of it.
Payload: TypeAlias = Buffer | list[Buffer]


class SectionId:
    """Section ids of a core module."""

    CUSTOM, TYPE, IMPORT, FUNCTION, TABLE, MEMORY, GLOBAL = range(7)
    EXPORT, START, ELEMENT, CODE, DATA, DATA_COUNT, TAG = range(7, 14)


SECTION_NAMES = (
    "custom", "type", "import", "function", "table", "memory", "global",
    "export", "start", "element", "code", "data", "data count", "tag",
)  # fmt: skip

#: Where each section stands among the others; custom sections may stand anywhere.
SECTION_ORDER: dict[int, int] = {
    section: rank
    for rank, section in enumerate(
        (
            SectionId.TYPE,
            SectionId.IMPORT,
            SectionId.FUNCTION,
            SectionId.TABLE,
            SectionId.MEMORY,
            SectionId.TAG,
            SectionId.GLOBAL,
            SectionId.EXPORT,
            SectionId.START,
            SectionId.ELEMENT,
            SectionId.DATA_COUNT,
            SectionId.CODE,
            SectionId.DATA,
        )
    )
}


@dataclass(frozen=True, slots=True)
class Section:
    """``data[start:end]`` of the module is the payload; a custom section's begins with its name.

    ``content`` is where a custom section's bytes begin after the name, else ``start``; ``name`` is
    empty for other sections; ``size_width`` the LEB128 length the input used for the size.
    """

    id: int
    payload: memoryview
    start: int
    end: int
    size_width: int = 1
    name: str = ""
    content: int = 0


def check_preamble(data: Buffer, offset: int, path: str) -> None:
    """Raise DecodeError unless ``data`` begins like a core module of version 1."""
    if bytes(data[:8]) != PREAMBLE:
        cur = Cursor(data, 0, len(data), offset, path)
        raise cur.error("not a core module: it does not begin with \\0asm and version 1")


def split(data: memoryview, offset: int, path: str) -> tuple[Section, ...]:
    """The sections in order.

    Raises DecodeError for an unknown section, one out of order or twice, and for a size that runs
    past the end.
    """
    cur, sections, rank = Cursor(data, len(PREAMBLE), len(data), offset, path), [], -1
    while cur.left:
        at = cur.pos
        number = cur.u8("a section id")
        if number >= len(SECTION_NAMES):
            raise cur.error(f"unknown section {number}", at)
        if number:
            if SECTION_ORDER[number] <= rank:
                raise cur.error(f"{SECTION_NAMES[number]} section is out of order", at)
            rank = SECTION_ORDER[number]
        sections.append(_section(cur, number))
    return tuple(sections)


def _section(cur: Cursor, number: int) -> Section:
    before = cur.pos
    size = cur.u32("the size of a section")
    width = cur.pos - before
    inner = cur.inner(size, f"{SECTION_NAMES[number]} section")
    start = inner.pos
    payload = memoryview(cur.data)[start : cur.pos]
    if number:
        return Section(number, payload, start, cur.pos, width, "", start)
    name = inner.name("custom section name")
    return Section(number, payload, start, cur.pos, width, name, inner.pos)


def join(sections: Iterable[tuple[int, Payload, int]]) -> bytes:
    """A module of (section id, payload, least LEB128 length of the size)."""
    out: list[Buffer] = [PREAMBLE]
    for number, payload, width in sections:
        pieces = payload if isinstance(payload, list) else [payload]
        size = sum(map(len, pieces))
        out += (bytes((number,)), unsigned(size, width), *pieces)
    return b"".join(out)

"""From the bytes of a record to JSON-ready values, one compiled reader per type node.

A reader gets the record's :class:`Tail` and the offset of the value's image and returns the value
as JSON would show it.  Strings, lists and maps take what was kept of them from the tail, in the
depth-first order in which the probe wrote it.
"""

from __future__ import annotations

import base64
import codecs
import math
import struct
from collections.abc import Callable
from typing import Any, TypeAlias

from whamm_cm.agent.layout import BAD_POINTER, MAX_DEPTH, SECRET, NodeKind
from whamm_cm.agent.table import Node, SiteTable
from whamm_cm.errors import InputError
from whamm_cm.trace.floats import shortest32


class ValueFault(InputError):
    """The bytes of a record do not fit the types of its site."""


_KEPT = struct.Struct("<I").unpack_from


class Tail:
    """The part of a record behind the image; ``pos`` moves as values take from it.  ``masked``:
    stars have been read in the place of a secret."""

    __slots__ = ("data", "end", "masked", "pos")

    def __init__(self, data: bytes, pos: int, end: int) -> None:
        self.data, self.pos, self.end, self.masked = data, pos, end, False

    def kept(self) -> int:
        """The next length; 0 from where the record was cut."""
        pos = self.pos
        if pos + 4 > self.end:
            self.pos = self.end
            return 0
        self.pos = pos + 4
        value: int = _KEPT(self.data, pos)[0]
        return value

    def take(self, size: int) -> int:
        """Offset of the next ``size`` bytes."""
        pos = self.pos
        if pos + size > self.end:
            raise ValueFault(f"{size} bytes are announced where {self.end - pos} are left")
        self.pos = pos + size
        return pos


Reader: TypeAlias = Callable[[Tail, int], Any]

_INTS = {
    NodeKind.S8: "<b", NodeKind.U8: "<B", NodeKind.S16: "<h", NodeKind.U16: "<H",
    NodeKind.S32: "<i", NodeKind.U32: "<I", NodeKind.S64: "<q", NodeKind.U64: "<Q",
    NodeKind.OWN: "<I", NodeKind.BORROW: "<I",
    NodeKind.STREAM: "<I", NodeKind.FUTURE: "<I", NodeKind.ERROR_CONTEXT: "<I",
}  # fmt: skip


def heights(table: SiteTable) -> tuple[int, ...]:
    """Levels of values from each node down; a node only refers to those before it."""
    found: list[int] = []
    for node in table.nodes:
        below = [each.type for each in node.fields if each.type is not None]
        if node.kind in (NodeKind.LIST, NodeKind.FIXED_LIST, NodeKind.MAP):
            below.append(node.a)
        found.append(1 + max((found[i] for i in below), default=0))
    return tuple(found)


class Readers:
    """Compiled readers of one table for one string encoding, made when first asked for.  ``stars``:
    of a secret they make as many stars, which a guest can be given."""

    def __init__(self, table: SiteTable, encoding: str, stars: bool = False) -> None:
        self.stars = stars
        self._nodes, self._heights = table.nodes, heights(table)
        self._text = _TEXTS[encoding]
        self._made: dict[tuple[int, int], Reader] = {}

    def get(self, number: int, depth: int) -> Reader:
        """The reader of a node whose values lie ``depth`` levels deep (the outermost: 1)."""
        # How deep it is only matters when the limit could be reached below.
        deepest = depth + self._heights[number] - 1
        key = (number, depth if deepest > MAX_DEPTH else 0)
        found = self._made.get(key)
        if found is None:
            node = self._nodes[number]
            make = _deep if depth > MAX_DEPTH else _MAKERS[node.kind]
            found = self._made[key] = make(self, node, depth)
        return found

    def node(self, number: int) -> Node:
        return self._nodes[number]

    def text(self, word_bits: int) -> _Text:
        return self._text(word_bits)


def _deep(_: Readers, node: Node, depth: int) -> Reader:
    def read(tail: Tail, at: int) -> Any:
        if node.has_tail:
            tail.pos = tail.end
        return {"~deep": True}

    return read


def _bool(_: Readers, node: Node, depth: int) -> Reader:
    def read(tail: Tail, at: int) -> Any:
        raw = tail.data[at]
        return raw == 1 if raw < 2 else {"~bad": hex(raw)}

    return read


def _int(_: Readers, node: Node, depth: int) -> Reader:
    unpack = struct.Struct(_INTS[node.kind]).unpack_from

    def read(tail: Tail, at: int) -> Any:
        return unpack(tail.data, at)[0]

    return read


def _float(_: Readers, node: Node, depth: int) -> Reader:
    single = node.kind is NodeKind.F32
    unpack = struct.Struct("<f" if single else "<d").unpack_from

    def read(tail: Tail, at: int) -> Any:
        value = unpack(tail.data, at)[0]
        if not math.isfinite(value):
            return str(value)
        return shortest32(value) if single else value

    return read


def _char(_: Readers, node: Node, depth: int) -> Reader:
    unpack = struct.Struct("<I").unpack_from

    def read(tail: Tail, at: int) -> Any:
        raw = unpack(tail.data, at)[0]
        valid = raw < 0xD800 or 0xE000 <= raw < 0x110000
        return chr(raw) if valid else {"~bad": hex(raw)}

    return read


# What a string's length word means: (code units, their size in bytes, decoder).
_Decode: TypeAlias = Callable[[bytes, str, bool], tuple[str, int]]
_Text: TypeAlias = Callable[[int], tuple[int, int, _Decode]]


def _utf8(word_bits: int) -> _Text:
    return lambda word: (word, 1, codecs.utf_8_decode)


def _utf16(word_bits: int) -> _Text:
    return lambda word: (word, 2, codecs.utf_16_le_decode)


def _latin1(data: bytes, errors: str, final: bool) -> tuple[str, int]:
    return codecs.latin_1_decode(data, errors)


def _tagged(word_bits: int) -> _Text:
    tag = 1 << word_bits - 1

    def units(word: int) -> tuple[int, int, _Decode]:
        return (word - tag, 2, codecs.utf_16_le_decode) if word & tag else (word, 1, _latin1)

    return units


_TEXTS: dict[str, Callable[[int], _Text]] = {
    "utf8": _utf8,
    "utf16": _utf16,
    "latin1+utf16": _tagged,
}


def _pair(node: Node) -> Callable[[bytes, int], tuple[int, int]]:
    """Reads (address, length word) of the image of a string, list or map."""
    unpack: Callable[[bytes, int], tuple[int, int]]
    unpack = struct.Struct("<II" if node.size == 8 else "<QQ").unpack_from
    return unpack


def _marked(tail: Tail, kept: int, address: int, total: int) -> dict[str, Any]:
    """A value whose bytes are not shown."""
    if kept == BAD_POINTER:
        return {"~bad": hex(address)}
    tail.masked = True
    if kept == SECRET:
        tail.take(tail.kept())
    return {"~redacted": total}


def _string(readers: Readers, node: Node, depth: int) -> Reader:
    pair, text, stars = _pair(node), readers.text(node.size * 4), readers.stars

    def read(tail: Tail, at: int) -> Any:
        address, word = pair(tail.data, at)
        units, width, decode = text(word)
        kept, size = tail.kept(), units * width
        if kept >= SECRET:
            found = _marked(tail, kept, address, units)
            return "*" * units if stars and tail.masked else found
        if kept > size:
            raise ValueFault(f"{kept} bytes are kept of a string of {size}")
        start, whole = tail.take(kept), kept == size
        # A cut string may end in mid-character: not being final drops that part.
        value = decode(tail.data[start : start + kept], "replace", whole)[0]
        return value if whole else {"~cut": units, "~str": value}

    return read


def _elements(readers: Readers, node: Node, depth: int) -> Reader:
    element = readers.node(node.a)
    if node.kind is NodeKind.LIST and element.kind is NodeKind.U8:
        return _bytes(node, readers.stars)
    pair, size, item = _pair(node), element.size, readers.get(node.a, depth + 1)

    def read(tail: Tail, at: int) -> Any:
        address, total = pair(tail.data, at)
        kept = tail.kept()
        if kept >= SECRET:
            return _marked(tail, kept, address, total)
        if kept > total:
            raise ValueFault(f"{kept} elements are kept of a list of {total}")
        start = tail.take(kept * size)
        values = [item(tail, start + i * size) for i in range(kept)]
        return values if kept == total else {"~cut": total, "~list": values}

    return read


def _bytes(node: Node, stars: bool) -> Reader:
    pair = _pair(node)

    def read(tail: Tail, at: int) -> Any:
        address, total = pair(tail.data, at)
        kept = tail.kept()
        if kept >= SECRET:
            found = _marked(tail, kept, address, total)
            hidden = base64.b64encode(b"*" * total).decode() if stars and tail.masked else None
            return found if hidden is None else {"~b64": hidden}
        if kept > total:
            raise ValueFault(f"{kept} bytes are kept of {total}")
        start = tail.take(kept)
        text = base64.b64encode(tail.data[start : start + kept]).decode()
        return {"~b64": text} if kept == total else {"~cut": total, "~b64": text}

    return read


def _fixed(readers: Readers, node: Node, depth: int) -> Reader:
    size, item = readers.node(node.a).size, readers.get(node.a, depth + 1)
    offsets = range(0, node.size, size)

    def read(tail: Tail, at: int) -> Any:
        return [item(tail, at + offset) for offset in offsets]

    return read


def fields(readers: Readers, node: Node, depth: int) -> tuple[tuple[str, Reader, int], ...]:
    """(name, reader, offset) of the fields of a record whose values lie ``depth`` levels deep."""
    return tuple(
        (each.name, readers.get(each.type, depth + 1), each.offset)
        for each in node.fields
        if each.type is not None
    )


def _record(readers: Readers, node: Node, depth: int) -> Reader:
    parts = fields(readers, node, depth)

    def read(tail: Tail, at: int) -> Any:
        return {name: item(tail, at + offset) for name, item, offset in parts}

    return read


def _tuple(readers: Readers, node: Node, depth: int) -> Reader:
    parts = fields(readers, node, depth)

    def read(tail: Tail, at: int) -> Any:
        return [item(tail, at + offset) for _, item, offset in parts]

    return read


def _flags(_: Readers, node: Node, depth: int) -> Reader:
    names, size = [each.name for each in node.fields], node.size

    def read(tail: Tail, at: int) -> Any:
        bits = int.from_bytes(tail.data[at : at + size], "little")
        return [name for i, name in enumerate(names) if bits >> i & 1]

    return read


def _cases(readers: Readers, node: Node, depth: int) -> list[tuple[str, Reader | None]]:
    return [
        (each.name, None if each.type is None else readers.get(each.type, depth + 1))
        for each in node.fields
    ]


def _variant(readers: Readers, node: Node, depth: int) -> Reader:
    cases, width, payload = _cases(readers, node, depth), node.a, node.b

    def read(tail: Tail, at: int) -> Any:
        disc = int.from_bytes(tail.data[at : at + width], "little")
        if disc >= len(cases):
            return {"~bad": hex(disc)}
        name, item = cases[disc]
        return {name: None if item is None else item(tail, at + payload)}

    return read


def _enum(_: Readers, node: Node, depth: int) -> Reader:
    names, width = [each.name for each in node.fields], node.a

    def read(tail: Tail, at: int) -> Any:
        disc = int.from_bytes(tail.data[at : at + width], "little")
        return names[disc] if disc < len(names) else {"~bad": hex(disc)}

    return read


def _option(readers: Readers, node: Node, depth: int) -> Reader:
    inner, payload = node.fields[1].type, node.b
    assert inner is not None, "checked when the table was parsed"
    item, nested = readers.get(inner, depth + 1), readers.node(inner).kind is NodeKind.OPTION

    def read(tail: Tail, at: int) -> Any:
        disc = tail.data[at]
        if disc == 0:
            return None
        if disc > 1:
            return {"~bad": hex(disc)}
        value = item(tail, at + payload)
        return {"some": value} if nested else value

    return read


_MAKERS: dict[NodeKind, Callable[[Readers, Node, int], Reader]] = {
    **dict.fromkeys(_INTS, _int),
    NodeKind.BOOL: _bool,
    NodeKind.F32: _float,
    NodeKind.F64: _float,
    NodeKind.CHAR: _char,
    NodeKind.STRING: _string,
    NodeKind.LIST: _elements,
    NodeKind.MAP: _elements,
    NodeKind.FIXED_LIST: _fixed,
    NodeKind.RECORD: _record,
    NodeKind.TUPLE: _tuple,
    NodeKind.VARIANT: _variant,
    NodeKind.RESULT: _variant,
    NodeKind.ENUM: _enum,
    NodeKind.FLAGS: _flags,
    NodeKind.OPTION: _option,
}


def of_map(read: Callable[[dict[str, Any], Tail], None]) -> Callable[[dict[str, Any], Tail], None]:
    """A map that has lost entries says so where a list has its address."""

    def read_map(record: dict[str, Any], tail: Tail) -> None:
        if tail.data[tail.pos : tail.pos + 4] == b"\1\0\0\0":
            record["anew"] = True
        read(record, tail)

    return read_map

"""Reading the site table back, robustly: it may come from a file anyone has edited."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from whamm_cm.agent.counted import CountedCells, cells_of, fault_of, pcs_of, wide
from whamm_cm.agent.layout import (
    COUNTED_SIZE,
    ENCODING_SHIFT,
    ENCODINGS,
    ENTRY_SIZE,
    NODE_SIZE,
    NONE,
    SITE_SIZE,
    TABLE_HEADER,
    TABLE_MAGIC,
    TABLE_VERSION,
    VARIABLE_SIZE,
    Edge,
    NodeKind,
    SiteFlag,
    SiteKind,
)
from whamm_cm.agent.variables import Cells, Variable, read_words, variable_fault
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import InputError

HEADER = struct.Struct("<13I12x")
NODE = struct.Struct("<8I")
SITE = struct.Struct("<24I")
ENTRY = struct.Struct("<4I")
SPAN = struct.Struct("<2I")
VARIABLE = struct.Struct("<4I16x")
COUNTED = struct.Struct("<15I4x")


class SiteTableError(InputError):
    """The bytes are not a site table of this version, or contradict themselves."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field, case or label; ``type`` is a node index or None, ``offset`` that of a field."""

    name: str
    type: int | None
    offset: int


@dataclass(frozen=True, slots=True)
class Node:
    """One type node; ``a``, ``b`` and ``count`` by kind as the table's format says."""

    kind: NodeKind
    size: int
    align: int
    has_tail: bool
    a: int = 0
    b: int = 0
    count: int = 0
    fields: tuple[Field, ...] = ()
    resource: str = ""
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """One site as read back; ``params`` and ``result`` are node indices.  ``inner``: interface,
    version and func as the component itself has them, empty where they are the same; the handles
    are JSON objects, "" for none."""

    kind: SiteKind
    edge: Edge
    component: str
    interface: str
    version: str
    func: str
    params: int | None
    result: int | None
    has_self: bool
    is_async: bool
    ptr: int
    encoding: str
    variable: Variable | None = None
    counted: CountedCells | None = None
    inner: tuple[str, str, str] = ("", "", "")
    call_handles: str = ""
    return_handles: str = ""
    copies: bool = False


_FIXED_SIZES = {
    NodeKind.BOOL: 1, NodeKind.S8: 1, NodeKind.U8: 1, NodeKind.S16: 2, NodeKind.U16: 2,
    NodeKind.S32: 4, NodeKind.U32: 4, NodeKind.S64: 8, NodeKind.U64: 8, NodeKind.F32: 4,
    NodeKind.F64: 8, NodeKind.CHAR: 4, NodeKind.OWN: 4, NodeKind.BORROW: 4, NodeKind.STREAM: 4,
    NodeKind.FUTURE: 4, NodeKind.ERROR_CONTEXT: 4,
}  # fmt: skip
_POINTERS = (NodeKind.STRING, NodeKind.LIST, NodeKind.MAP)
_VARIANTS = (NodeKind.VARIANT, NodeKind.ENUM, NodeKind.OPTION, NodeKind.RESULT)

HANDLES = (NodeKind.OWN, NodeKind.BORROW)
_WITH_FIELDS = (NodeKind.RECORD, NodeKind.TUPLE, NodeKind.FLAGS, *_VARIANTS)


@dataclass(frozen=True, slots=True)
class SiteTable:
    """A checked table: every index is in range and every part lies inside its whole.  ``sample``:
    records are made of one request in so many, 0 of all.  ``recorded``: what is said of a
    recording, None where it is none."""

    nodes: tuple[Node, ...]
    sites: tuple[Site, ...]
    sample: int = 0
    recorded: dict[str, Any] | None = None

    @classmethod
    def parse(cls, data: bytes) -> SiteTable:
        """Raises SiteTableError for anything a builder would not have written."""
        reader = _Reader(data)
        return cls(tuple(reader.nodes), tuple(reader.sites()), reader.sample, reader.recorded())


class _Reader:
    """One pass over the bytes; ``nodes`` is filled in order, each checked against those before."""

    def __init__(self, data: bytes) -> None:
        if len(data) < TABLE_HEADER:
            raise SiteTableError(f"a site table has at least {TABLE_HEADER} bytes, not {len(data)}")
        magic, version, n_sites, sites, n_types, types, _, total, n_names, names, sample, *said = (
            HEADER.unpack_from(data)
        )
        if magic != TABLE_MAGIC or version != TABLE_VERSION:
            raise SiteTableError(f"not a site table of version {TABLE_VERSION}")
        if total > len(data):
            raise SiteTableError(f"the site table wants {total} bytes, there are {len(data)}")
        self._data, self.sample, self._recorded = data[:total], sample, said
        self._entries_left = total // ENTRY_SIZE
        rows = self._rows(SPAN, SPAN.size, names, n_names)
        self._names = [self._text(*row) for row in rows]
        self._sites = self._rows(SITE, SITE_SIZE, sites, n_sites)
        self.nodes: list[Node] = []
        for words in self._rows(NODE, NODE_SIZE, types, n_types):
            node = self._node(words)
            self._check(node)
            self.nodes.append(node)

    def recorded(self) -> dict[str, Any] | None:
        text = self._text(*self._recorded)
        try:
            found = json.loads(text) if text else None
        except (ValueError, RecursionError):
            found = ()
        if found is not None and not isinstance(found, dict):
            raise SiteTableError("what is said of a recording is no object")
        return found

    def sites(self) -> list[Site]:
        return [self._site(words) for words in self._sites]

    def _rows(self, row: struct.Struct, size: int, at: int, n: int) -> list[tuple[int, ...]]:
        if at + n * size > len(self._data):
            raise SiteTableError(f"{n} rows of {size} bytes at {at} leave the site table")
        return [row.unpack_from(self._data, at + i * size) for i in range(n)]

    def _text(self, at: int, size: int) -> str:
        if at + size > len(self._data):
            raise SiteTableError(f"a name at {at} leaves the site table")
        try:
            return self._data[at : at + size].decode()
        except UnicodeDecodeError:
            raise SiteTableError(f"the name at {at} is not UTF-8") from None

    def _site(self, words: Sequence[int]) -> Site:
        kind, edge, *spans = words[:10]
        params, result, flags, info = words[10:14]
        encoding = flags >> ENCODING_SHIFT & 3
        if kind >= len(SiteKind) or edge >= len(Edge) or encoding >= len(ENCODINGS):
            raise SiteTableError(f"a site of kind {kind}, edge {edge}, flags 0x{flags:x}")
        component, interface, version, func = self._texts(spans)
        inner_interface, inner_version, inner_func, *handles = self._texts(words[14:])
        args = self._optional(params)
        if args is not None and self.nodes[args].kind is not NodeKind.RECORD:
            raise SiteTableError("the parameters of a site are not a record")
        return Site(
            kind=SiteKind(kind),
            edge=Edge(edge),
            component=component,
            interface=interface,
            version=version,
            func=func,
            params=args,
            result=self._optional(result),
            has_self=bool(flags & SiteFlag.SELF),
            is_async=bool(flags & SiteFlag.ASYNC),
            ptr=8 if flags & SiteFlag.MEMORY64 else 4,
            encoding=ENCODINGS[encoding],
            variable=self._variable(info, result) if kind == SiteKind.VARIABLE else None,
            counted=self._counted(info) if kind == SiteKind.COUNTED else None,
            inner=(inner_interface, inner_version, inner_func),
            call_handles=self._handles(handles[0]),
            return_handles=self._handles(handles[1]),
            copies=bool(flags & SiteFlag.COPIES) and self._copies(result),
        )

    def _copies(self, result: int) -> bool:
        """Checks the result of a read or write that says what it copied."""
        known = self._optional(result)
        if known is None or self.nodes[known].kind is not NodeKind.RECORD:
            raise SiteTableError("what a site copies is not part of a record")
        return True

    def _texts(self, spans: Sequence[int]) -> list[str]:
        return [self._text(spans[i], spans[i + 1]) for i in range(0, len(spans), 2)]

    def _handles(self, text: str) -> str:
        """The text of a JSON object of strings, or ""."""
        try:
            value = json.loads(text) if text else {}
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
            raise SiteTableError("the handles of a site are not an object of strings")
        return text

    def _variable(self, at: int, result: int) -> Variable:
        """What a site of a variable has beyond names and type."""
        (row,) = self._rows(VARIABLE, VARIABLE_SIZE, at, 1)
        type_at, type_size, n_cells, cells = row
        if cells and cells + 12 * n_cells > len(self._data):
            raise SiteTableError(f"{n_cells} cells at {cells} leave the site table")
        places = None
        if cells:
            fids, pcs, numbers = read_words(self._data, cells, 3, n_cells)
            places = Cells(fids, pcs, numbers, self._names)
        found = Variable(
            self._text(type_at, type_size),
            n_cells,
            places,
        )
        fault = variable_fault(found) or ("it has no type" if result == NONE else "")
        if fault:
            raise SiteTableError(f"a variable contradicts itself: {fault}")
        return found

    def _counted(self, at: int) -> CountedCells:
        """The counters of a core module."""
        (row,) = self._rows(COUNTED, COUNTED_SIZE, at, 1)
        functions, counters, cells = row[:3]
        columns = []
        for k, n in enumerate((functions, functions, functions, counters, cells, cells)):
            start, width = row[3 + 2 * k : 5 + 2 * k]
            if width not in (1, 2, 4) or start + n * width > len(self._data):
                raise SiteTableError(f"{n} numbers at {start} leave the site table")
            columns.append(wide(self._data[start : start + n * width], width))
        fault = fault_of(columns, len(self._names))
        if not fault and not all(map(self._is_scalar, set(columns[4]))):
            fault = "a cell is not that of a variable with one number"
        fids, numbers, sizes, counts, rows, steps = columns
        try:
            pcs = steps if fault else pcs_of(steps, cells_of(sizes, counts))
        except ValueError as error:
            fault = str(error)
        if fault:
            raise SiteTableError(f"counters contradict themselves: {fault}")
        return CountedCells(fids, numbers, sizes, counts, rows, pcs, self._names)

    def _is_scalar(self, number: int) -> bool:
        """Whether a site is a variable whose values have at most 8 bytes."""
        if number >= len(self._sites):
            return False
        kind, result = self._sites[number][0], self._sites[number][11]
        if kind != SiteKind.VARIABLE or result >= len(self.nodes):
            return False
        return self.nodes[result].kind <= NodeKind.F64

    def _optional(self, number: int) -> int | None:
        return None if number == NONE else self._known(number)

    def _known(self, number: int) -> int:
        if number >= len(self.nodes):
            raise SiteTableError(f"type {number} is used before it is defined")
        return number

    def _node(self, words: Sequence[int]) -> Node:
        raw, size, align, flags, a, b, count, at = words
        if raw >= len(NodeKind):
            raise SiteTableError(f"unknown kind {raw} of type node")
        kind, resource, owner = NodeKind(raw), "", ""
        fields: tuple[Field, ...] = ()
        if kind in HANDLES:
            (entry,) = self._rows(ENTRY, ENTRY_SIZE, at, 1)
            resource, owner = self._text(*entry[:2]), self._text(*entry[2:])
        elif kind in _WITH_FIELDS:
            # Entries never overlap, so all of them together cannot outnumber the table's bytes.
            self._entries_left -= count
            if self._entries_left < 0:
                raise SiteTableError(f"type node {len(self.nodes)} has {count} entries")
            rows = self._rows(ENTRY, ENTRY_SIZE, at, count)
            fields = tuple(self._field(kind, row) for row in rows)
        return Node(kind, size, align, bool(flags & 1), a, b, count, fields, resource, owner)

    def _field(self, kind: NodeKind, row: Sequence[int]) -> Field:
        name = self._text(*row[:2])
        if kind is NodeKind.FLAGS:
            return Field(name, None, 0)
        number = self._optional(row[2])
        if kind in (NodeKind.RECORD, NodeKind.TUPLE) and number is None:
            raise SiteTableError(f"field {name!r} has no type")
        return Field(name, number, row[3])

    def _check(self, node: Node) -> None:
        """Everything a decoder relies on when it slices images by this node."""
        tail = node.kind in _POINTERS
        fixed = _FIXED_SIZES.get(node.kind)
        if fixed is not None:
            ok = node.size == fixed
        else:
            ok = _CHECKS[node.kind](self, node)
            inner = [each.type for each in node.fields]
            inner += [node.a] if node.kind is NodeKind.FIXED_LIST else []
            tail |= any(self.nodes[i].has_tail for i in inner if i is not None)
        if not ok or tail != node.has_tail:
            raise SiteTableError(f"type node {len(self.nodes)} ({node.kind.name}) is inconsistent")

    def _check_pointer(self, node: Node) -> bool:
        if node.size not in (8, 16):
            return False
        if node.kind is NodeKind.STRING:
            return True
        element = self.nodes[self._known(node.a)]
        pair = element.kind is NodeKind.TUPLE and element.count == 2
        return element.size > 0 and (pair or node.kind is NodeKind.LIST)

    def _check_fixed_list(self, node: Node) -> bool:
        element = self.nodes[self._known(node.a)]
        return element.size > 0 and node.count > 0 and node.size == node.count * element.size

    def _check_record(self, node: Node) -> bool:
        return all(
            each.type is not None and each.offset + self.nodes[each.type].size <= node.size
            for each in node.fields
        )

    def _check_variant(self, node: Node) -> bool:
        sizes = [self.nodes[each.type].size for each in node.fields if each.type is not None]
        pair = node.kind in (NodeKind.OPTION, NodeKind.RESULT)
        return (
            node.a in (1, 2, 4)
            and node.a <= node.size
            and 0 < node.count <= 1 << 8 * node.a
            and (node.count == 2 or not pair)
            and (node.kind is not NodeKind.OPTION or node.fields[1].type is not None)
            and all(node.a <= node.b and node.b + size <= node.size for size in sizes)
        )

    def _check_flags(self, node: Node) -> bool:
        return node.count <= 8 * node.size


_CHECKS: dict[NodeKind, Callable[[_Reader, Node], bool]] = {
    **dict.fromkeys(_POINTERS, _Reader._check_pointer),
    **dict.fromkeys(_VARIANTS, _Reader._check_variant),
    NodeKind.FIXED_LIST: _Reader._check_fixed_list,
    NodeKind.RECORD: _Reader._check_record,
    NodeKind.TUPLE: _Reader._check_record,
    NodeKind.FLAGS: _Reader._check_flags,
}


#: A site table of a million counters has tens of megabytes; no larger one is unpacked.
_MAX_TABLE = 1 << 30


def packed_table(table: bytes) -> bytes:
    """The content of the section ``whamm-cm.sites``: the table, by zlib."""
    return zlib.compress(table, 9 if len(table) < 1 << 20 else 1)


def known_table(packed: bytes) -> bytes:
    """What :func:`packed_table` has made that of."""
    return zlib.decompress(packed)


def unpacked_table(data: bytes) -> bytes | None:
    """The table in such a section, that of an older version included; None if it is damaged."""
    if data[:4] == TABLE_MAGIC.to_bytes(4, "little"):
        return data
    unpacker = zlib.decompressobj()
    try:
        table = unpacker.decompress(data, _MAX_TABLE)
    except zlib.error:
        return None
    return table if unpacker.eof else None

"""Writing the site table: what a record's site number and bytes mean.

:class:`SiteTableBuilder` collects it while a component is woven; :mod:`whamm_cm.agent.table` reads
it back, and so does ``sink.c`` inside the guest.  A type node only refers to nodes before it, so
the table holds no cycles and a reader needs no recursion to check it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TypeAlias

from whamm_cm.abi.layout import layouts, postorder, variant_cases
from whamm_cm.agent.counted import Counted, narrow
from whamm_cm.agent.handles import handles_of
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
from whamm_cm.agent.table import (
    COUNTED,
    ENTRY,
    HANDLES,
    HEADER,
    NODE,
    SITE,
    SPAN,
    VARIABLE,
    Field,
    Node,
    SiteTableError,
)
from whamm_cm.agent.variables import Cells, VariableSpec, Words, words_of
from whamm_cm.dataclass import dataclass
from whamm_cm.wit.types import (
    Borrow,
    EnumT,
    FlagsT,
    FutureT,
    ListT,
    MapT,
    OptionT,
    Own,
    Prim,
    RecordT,
    Resource,
    ResultT,
    StreamT,
    TupleT,
    ValType,
    strip,
)

Buffer: TypeAlias = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class SiteSpec:
    """One probed place as the weaver describes it.

    ``params`` are the component-level parameters (core values as ``Prim`` for a built-in); with
    ``has_self`` the first is a handle and shown as ``self``.  ``ptr`` is the pointer width and
    ``encoding`` the string encoding of that canonical definition's options.  ``inner``: interface,
    version and function as the component itself calls them, where that is not what the site stands
    for.  ``reps``: resources whose borrows reach it as representations.  ``elements``: what it
    copies, beside what it returns.  ``ends``: its records say which handles are streams and
    futures.
    """

    kind: SiteKind
    edge: Edge
    component: str
    interface: str
    version: str
    func: str
    params: tuple[tuple[str, ValType], ...] = ()
    result: ValType | None = None
    has_self: bool = False
    is_async: bool = False
    ptr: int = 4
    encoding: str = "utf8"
    inner: tuple[str, str, str] = ("", "", "")
    reps: frozenset[Resource] = frozenset()
    elements: ListT | None = None
    ends: bool = False


_PRIMS = {
    "bool": NodeKind.BOOL, "s8": NodeKind.S8, "u8": NodeKind.U8, "s16": NodeKind.S16,
    "u16": NodeKind.U16, "s32": NodeKind.S32, "u32": NodeKind.U32, "s64": NodeKind.S64,
    "u64": NodeKind.U64, "f32": NodeKind.F32, "f64": NodeKind.F64, "char": NodeKind.CHAR,
    "string": NodeKind.STRING, "error-context": NodeKind.ERROR_CONTEXT,
}  # fmt: skip


class _Strings:
    """Every string once; none at all where they are not ``kept``."""

    __slots__ = ("_kept", "_spans", "data")

    def __init__(self, kept: bool) -> None:
        self._kept = kept
        self.data = bytearray()
        self._spans: dict[str, tuple[int, int]] = {"": (0, 0)}

    def span(self, text: str) -> tuple[int, int]:
        """(offset in ``data``, length in bytes)."""
        found = self._spans.get(text) if self._kept else (0, 0)
        if found is None:
            encoded = text.encode("utf-8", "replace")
            found = self._spans[text] = (len(self.data), len(encoded))
            self.data += encoded
        return found


@dataclass(frozen=True, slots=True)
class _Row:
    type: str
    cells: Cells | None


class _Columns:
    """The part of the table that only sites of scripts have: a row for each, the names of
    functions, and the columns, those that rows share only once."""

    def __init__(self, at: int, rows: Iterable[_Row | Counted]) -> None:
        self._rows = tuple(rows)
        self.names: dict[str, int] = {}
        self._found: dict[int, int] = {}  # by identity: where the columns are
        self._columns: list[Buffer] = []
        variables = [row for row in self._rows if isinstance(row, _Row)]
        cells = {id(row.cells): row.cells for row in variables if row.cells}
        numbers = {key: self._renumbered(each) for key, each in cells.items()}
        modules = [
            row.columns([self.names.setdefault(name, len(self.names)) for name in row.names])
            for row in self._rows
            if isinstance(row, Counted)
        ]
        #: Where each row is.
        self.places = list(accumulate(map(_row_size, self._rows), initial=at))
        self.names_at = self.places[-1]
        self.end = self.names_at + SPAN.size * len(self.names)
        for key, each in cells.items():
            self._add(key, words_of(each.fids, each.pcs, numbers[key]))
        self._counted = [self._narrow(columns) for columns in modules]

    def _renumbered(self, cells: Cells) -> Words:
        """The number of each cell's function name among those of all rows."""
        known = [self.names.setdefault(name, len(self.names)) for name in cells.names]
        return array("I", map(known.__getitem__, cells.numbers))

    def _add(self, key: int, data: Buffer) -> None:
        self._found[key] = self.end
        padding = -len(data) % 4
        self._columns += (data, bytes(padding))
        self.end += len(data) + padding

    def _narrow(self, columns: Sequence[Words]) -> bytes:
        """The row of a module's counters; its columns are added."""
        words = [len(columns[0]), len(columns[3]), len(columns[4])]
        for column in columns:
            width, data = narrow(column)
            words += (self.end, width)
            self._add(id(column), data)
        return COUNTED.pack(*words)

    def pack(self, strings: _Strings) -> list[Buffer]:
        packed, counted = bytearray(), iter(self._counted)
        for row in self._rows:
            if isinstance(row, Counted):
                packed += next(counted)
                continue
            at, size = strings.span(row.type)
            # A table that nothing was added to has no columns, yet is not that of a global.
            cells = 0 if row.cells is None else self._found.get(id(row.cells), self.end)
            n_cells = 1 if row.cells is None else len(row.cells)
            packed += VARIABLE.pack(self.end + at, size, n_cells, cells)
        for name in self.names:
            at, size = strings.span(name)
            packed += SPAN.pack(self.end + at, size)
        return [packed, *self._columns]


def _row_size(row: _Row | Counted) -> int:
    return VARIABLE_SIZE if isinstance(row, _Row) else COUNTED_SIZE


class SiteTableBuilder:
    """Collects types and sites; equal nodes are stored once."""

    def __init__(self) -> None:
        self._sites: list[SiteSpec] = []
        self._site_nodes: list[tuple[int, int]] = []
        self._nodes: list[Node] = []
        self._numbers: dict[Node, int] = {}
        # Per pointer width; keyed by the type itself (identity), which also keeps it alive.
        self._known: dict[int, dict[ValType, int]] = {4: {}, 8: {}}
        self._variables: dict[int, _Row | Counted] = {}  # by site
        #: Records are made of one request in so many; 0 of all.
        self.sample = 0
        #: What is said of a recording, a JSON object; "" where it is none.
        self.recorded = ""

    def __len__(self) -> int:
        """How many sites there are, which is the index of the next one."""
        return len(self._sites)

    def add_type(self, t: ValType, ptr: int = 4) -> int:
        """The node index of a type.  Raises AbiError for a type without a layout and
        SiteTableError for one whose elements take no space (no current engine accepts those)."""
        known = self._known[ptr]
        for part in postorder(t, known):
            known[part] = self._intern(self._node(part, ptr))
        return known[strip(t)]

    def add_site(self, site: SiteSpec) -> int:
        """Appends a site and returns its index, which is what its records carry."""
        params = result = NONE
        if site.params:
            params = self.add_type(RecordT(site.params), site.ptr)
        if site.result is not None:
            returned = site.result
            if site.elements is not None:
                returned = RecordT((("result", site.result), ("data", site.elements)))
            result = self.add_type(returned, site.ptr)
        self._sites.append(site)
        self._site_nodes.append((params, result))
        return len(self._sites) - 1

    def add_variable(self, spec: VariableSpec, cells: Cells | None = None) -> int:
        """Appends the row of a variable and returns its index, which is what its records carry.

        Without ``cells`` it is a script global, whose only cell is number 0.  ``cells`` may still
        grow until ``to_bytes``.  They are those with records of their own: what a core module
        counts in place is in its ``Counted``.
        """
        site = SiteSpec(
            SiteKind.VARIABLE, Edge.INNER, spec.module, spec.probe, spec.script, spec.name,
            result=spec.result,
        )  # fmt: skip
        number = self.add_site(site)
        self._variables[number] = _Row(spec.type, cells)
        return number

    def add_counted(self, module: str, counted: Counted) -> int:
        """Appends the row of a core module's counters, which may still grow; its index."""
        number = self.add_site(SiteSpec(SiteKind.COUNTED, Edge.INNER, module, "", "", ""))
        self._variables[number] = counted
        return number

    def add_print(self, script: str, probe: str = "") -> int:
        """Appends the row that printed text comes from and returns its index."""
        return self.add_site(
            SiteSpec(SiteKind.PRINT, Edge.INNER, "", probe, script, "", result=Prim("string"))
        )

    def to_bytes(self, named: bool = True) -> bytes:
        """The table: header, sites, types, their entries, what variables have beyond that,
        strings; padded to 16 bytes.

        Not ``named``: what a sink has to know that packs its lines, the types of values.  Names,
        and where cells are, stay outside of the guest.
        """
        strings = _Strings(named)
        sites_at = TABLE_HEADER
        types_at = sites_at + SITE_SIZE * len(self._sites)
        entries_at = types_at + NODE_SIZE * len(self._nodes)
        variables_at = entries_at + ENTRY_SIZE * sum(_entries(node) for node in self._nodes)
        known = self._variables if named else {}
        columns = _Columns(variables_at, known.values())
        strings_at = columns.end
        types, entries = bytearray(), bytearray()
        for node in self._nodes:
            at = entries_at + len(entries) if _entries(node) else 0
            types += NODE.pack(
                node.kind, node.size, node.align, node.has_tail, node.a, node.b, node.count, at
            )
            entries += _pack_entries(node, strings, strings_at)
        variables = columns.pack(strings)
        infos = dict(zip(known, columns.places, strict=False))
        sites = b"".join(
            _pack_site(site, self._site_nodes[i], infos.get(i, 0), strings, strings_at)
            for i, site in enumerate(self._sites)
        )
        recorded_at, recorded = strings.span(self.recorded)
        total = (strings_at + len(strings.data) + 15) & ~15
        header = HEADER.pack(
            TABLE_MAGIC, TABLE_VERSION, len(self._sites), sites_at, len(self._nodes), types_at,
            strings_at, total, len(columns.names), columns.names_at, self.sample,
            strings_at + recorded_at, recorded,
        )  # fmt: skip
        padding = bytes(total - strings_at - len(strings.data))
        return b"".join((header, sites, types, entries, *variables, strings.data, padding))

    def _intern(self, node: Node) -> int:
        number = self._numbers.setdefault(node, len(self._nodes))
        if number == len(self._nodes):
            self._nodes.append(node)
        return number

    def _node(self, t: ValType, ptr: int) -> Node:
        info = layouts(ptr).info(t)
        size, align, tail, known = info.size, info.align, info.pointers, self._known[ptr]
        match t:
            case Prim(name):
                return Node(_PRIMS[name], size, align, tail)
            case ListT(element, length):
                return self._list(known[strip(element)], length, ptr)
            case MapT(key, value):
                entry = self._record(NodeKind.TUPLE, (("", key), ("", value)), ptr)
                return Node(NodeKind.MAP, size, align, True, a=self._intern(entry))
            case RecordT(fields):
                return self._record(NodeKind.RECORD, fields, ptr)
            case TupleT(types):
                return self._record(NodeKind.TUPLE, tuple(("", each) for each in types), ptr)
            case FlagsT(labels):
                names = tuple(Field(label, None, 0) for label in labels)
                return Node(NodeKind.FLAGS, size, align, False, count=len(names), fields=names)
            case Own(resource):
                return _handle(NodeKind.OWN, resource)
            case Borrow(resource):
                return _handle(NodeKind.BORROW, resource)
            case StreamT():
                return Node(NodeKind.STREAM, 4, 4, False)
            case FutureT():
                return Node(NodeKind.FUTURE, 4, 4, False)
        return self._variant(t, ptr)

    def _list(self, element: int, length: int | None, ptr: int) -> Node:
        node = self._nodes[element]
        if node.size == 0:
            raise SiteTableError("a list of elements without a size cannot be traced")
        if length is None:
            return Node(NodeKind.LIST, 2 * ptr, ptr, True, a=element)
        size = length * node.size
        return Node(NodeKind.FIXED_LIST, size, node.align, node.has_tail, a=element, count=length)

    def _record(self, kind: NodeKind, fields: Iterable[tuple[str, ValType]], ptr: int) -> Node:
        named, known = tuple(fields), self._known[ptr]
        layout = layouts(ptr).record(t for _, t in named)
        numbers = [known[strip(t)] for _, t in named]
        return Node(
            kind,
            layout.size,
            layout.align,
            any(self._nodes[number].has_tail for number in numbers),
            count=len(named),
            fields=tuple(
                Field(name, number, offset)
                for (name, _), number, offset in zip(named, numbers, layout.offsets, strict=True)
            ),
        )

    def _variant(self, t: ValType, ptr: int) -> Node:
        layout, known = layouts(ptr).variant(t), self._known[ptr]
        fields = tuple(
            Field(label, None if payload is None else known[strip(payload)], 0)
            for label, payload in variant_cases(t)
        )
        tail = any(self._nodes[f.type].has_tail for f in fields if f.type is not None)
        kinds = {EnumT: NodeKind.ENUM, OptionT: NodeKind.OPTION, ResultT: NodeKind.RESULT}
        kind = kinds.get(type(t), NodeKind.VARIANT)
        payload_at = 0 if kind is NodeKind.ENUM else layout.payload_offset
        return Node(
            kind, layout.size, layout.align, tail, layout.disc_size, payload_at, len(fields), fields
        )  # fmt: skip


def _handle(kind: NodeKind, resource: Resource) -> Node:
    return Node(kind, 4, 4, False, resource=resource.name or "", owner=resource.owner or "")


def _entries(node: Node) -> int:
    return 1 if node.kind in HANDLES else len(node.fields)


def _pack_entries(node: Node, strings: _Strings, base: int) -> bytes:
    if node.kind in HANDLES:
        name, owner = strings.span(node.resource), strings.span(node.owner)
        return ENTRY.pack(base + name[0], name[1], base + owner[0], owner[1])
    missing = 0 if node.kind is NodeKind.FLAGS else NONE
    packed = []
    for each in node.fields:
        at, size = strings.span(each.name)
        number = missing if each.type is None else each.type
        packed.append(ENTRY.pack(base + at, size, number, each.offset))
    return b"".join(packed)


def _pack_site(
    site: SiteSpec, nodes: tuple[int, int], info: int, strings: _Strings, base: int
) -> bytes:
    flags = SiteFlag.SELF * site.has_self | SiteFlag.ASYNC * site.is_async
    flags |= SiteFlag.COPIES * (site.elements is not None)
    flags |= SiteFlag.MEMORY64 * (site.ptr == 8) | ENCODINGS.index(site.encoding) << ENCODING_SHIFT
    words: list[int] = [site.kind, site.edge]
    handles = handles_of(
        site.kind, site.params, site.result, site.has_self, site.reps,
        site.elements, site.func if site.kind == SiteKind.BUILTIN else "", site.ends,
    )  # fmt: skip
    spans: list[int] = []
    for text in (
        *(site.component, site.interface, site.version, site.func),
        *(*site.inner, *handles),
    ):
        at, size = strings.span(text)
        spans += (base + at, size)
    return SITE.pack(*words, *spans[:8], *nodes, flags, info, *spans[8:])

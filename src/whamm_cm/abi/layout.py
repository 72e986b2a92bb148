"""Size, alignment and offsets of values in linear memory.

CanonicalABI.md, "Alignment" and "Element Size".  ``ptr`` is the width of a pointer in bytes: 4, or
8 for a 64-bit memory.  Types are DAGs that may stand for exponentially large trees, so every node
is computed once, without recursion; sizes are plain integers and never overflow.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import NamedTuple

from whamm_cm.abi.faults import AbiError, show
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
    ResultT,
    StreamT,
    TupleT,
    ValType,
    VariantT,
    strip,
)

MAX_TYPE_DEPTH = 500
"""Deepest nesting of value types (wasmtime stops near 100).  The value codecs recurse once per
level, so this keeps them inside Python's default recursion limit."""

# Nodes the shared tables may hold before they start again: types are kept alive by their entry.
_SHARED_NODES = 100_000

_PRIM_SIZES = {
    "bool": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "s32": 4, "u32": 4, "s64": 8, "u64": 8,
    "f32": 4, "f64": 8, "char": 4, "error-context": 4,
}  # fmt: skip

Cases = tuple[tuple[str, ValType | None], ...]


class RecordLayout(NamedTuple):
    """``offsets[i]`` is where field ``i`` starts; ``size`` is rounded up to ``align``."""

    offsets: tuple[int, ...]
    size: int
    align: int


@dataclass(frozen=True, slots=True)
class VariantLayout:
    """Discriminant of ``disc_size`` bytes at 0, the payload of any case at ``payload_offset``."""

    disc_size: int
    payload_offset: int
    size: int
    align: int
    payloads: tuple[ValType | None, ...]


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """What is known of one type node.  ``flat`` counts its core values, ``depth`` its levels."""

    size: int
    align: int
    flat: int
    depth: int
    pointers: bool


def align_to(offset: int, align: int) -> int:
    return -(-offset // align) * align


def flags_size(n: int) -> int:
    """Bytes of ``flags`` with ``n`` labels; over 32 labels (an older spec) whole 4-byte words."""
    if n <= 16:
        return 0 if n == 0 else 1 if n <= 8 else 2
    return 4 * flags_words(n)


def flags_words(n: int) -> int:
    """Core ``i32`` values (and, over 16 labels, 4-byte words) that ``n`` labels take."""
    return -(-n // 32)


def variant_cases(t: ValType) -> Cases:
    """(label, payload) of a variant, or of the variant an enum, option or result stands for
    (CanonicalABI.md, "Despecialization")."""
    match strip(t):
        case VariantT(cases):
            return cases
        case EnumT(labels):
            return tuple((label, None) for label in labels)
        case OptionT(inner):
            return (("none", None), ("some", inner))
        case ResultT(ok, err):
            return (("ok", ok), ("error", err))
    raise AbiError(f"{type(strip(t)).__name__} is not a variant, enum, option or result")


def children(t: ValType) -> tuple[ValType, ...]:
    """The types that the layout of ``t`` (already stripped) depends on.  What a stream or future
    carries is not part of its value and is left out."""
    match t:
        case ListT(element):
            return (element,)
        case MapT(key, value):
            return (key, value)
        case RecordT(fields):
            return tuple(field for _, field in fields)
        case TupleT(types):
            return types
        case VariantT() | OptionT() | ResultT():
            return tuple(payload for _, payload in variant_cases(t) if payload is not None)
    return ()


def postorder(
    root: ValType,
    done: Container[ValType],
    below: Callable[[ValType], Iterable[ValType]] = children,
) -> Iterator[ValType]:
    """Stripped nodes at and under ``root``, children first, each once.

    Nodes in ``done`` are skipped, so the caller has to add each node as it comes.
    Raises AbiError past MAX_TYPE_DEPTH.
    """
    top = strip(root)
    if top in done:
        return
    stack: list[tuple[ValType, Iterator[ValType]]] = [(top, iter(below(top)))]
    while stack:
        node, rest = stack[-1]
        for child in rest:
            child = strip(child)
            if child not in done:
                if len(stack) >= MAX_TYPE_DEPTH:
                    raise _too_deep()
                stack.append((child, iter(below(child))))
                break
        else:
            stack.pop()
            yield node


def _too_deep() -> AbiError:
    return AbiError(f"a type nests deeper than {MAX_TYPE_DEPTH} levels, the limit of whamm-cm")


class Layouts:
    """Layout of every node asked for, for one pointer width.

    Entries are keyed on the node itself (types compare by identity), which keeps it alive.
    """

    __slots__ = ("_infos", "_variants", "flats", "ptr")

    def __init__(self, ptr: int = 4) -> None:
        if ptr not in (4, 8):
            raise AbiError(f"a pointer is 4 or 8 bytes wide, not {show(ptr)}")
        self.ptr = ptr
        self.flats: dict[ValType, tuple[str, ...]] = {}
        self._infos: dict[ValType, NodeInfo] = {}
        self._variants: dict[ValType, VariantLayout] = {}

    def __len__(self) -> int:
        return len(self._infos)

    def info(self, t: ValType) -> NodeInfo:
        """Raises AbiError on a type nested deeper than MAX_TYPE_DEPTH and on a variant without
        cases."""
        node = strip(t)
        found = self._infos.get(node)
        if found is None:
            for part in postorder(node, self._infos):
                found = self._infos[part] = self._compute(part)
            assert found is not None, "postorder ends with its root"
        return found

    def record(self, types: Iterable[ValType]) -> RecordLayout:
        """Fields in order, each at the next multiple of its alignment."""
        offsets, end, align = [], 0, 1
        for t in types:
            info = self.info(t)
            end = align_to(end, info.align)
            offsets.append(end)
            end += info.size
            align = max(align, info.align)
        return RecordLayout(tuple(offsets), align_to(end, align), align)

    def variant(self, t: ValType) -> VariantLayout:
        node = strip(t)
        found = self._variants.get(node)
        if found is None:
            size = node.size if isinstance(node, EnumT) else 0
            found = self._variants[node] = self._variant(variant_cases(node), size)
        return found

    def _variant(self, cases: Cases, size: int) -> VariantLayout:
        disc = size or discriminant_size(len(cases))
        payloads = tuple(payload for _, payload in cases)
        infos = [self.info(payload) for payload in payloads if payload is not None]
        payload_align = max((info.align for info in infos), default=1)
        payload_size = max((info.size for info in infos), default=0)
        offset, align = align_to(disc, payload_align), max(disc, payload_align)
        return VariantLayout(disc, offset, align_to(offset + payload_size, align), align, payloads)

    def _compute(self, t: ValType) -> NodeInfo:
        """``t`` is stripped and its children are known."""
        below = [self.info(child) for child in children(t)]
        # A map is two levels: a list, and the entry tuples in it.
        depth = 1 + isinstance(t, MapT) + max((info.depth for info in below), default=0)
        if depth > MAX_TYPE_DEPTH:
            raise _too_deep()
        size, align, flat = self._measure(t, below)
        pointers = (
            isinstance(t, MapT)
            or (isinstance(t, Prim) and t.name == "string")
            or (isinstance(t, ListT) and t.length is None)
            or any(info.pointers for info in below)
        )
        return NodeInfo(size, align, flat, depth, pointers)

    def _measure(self, t: ValType, below: Sequence[NodeInfo]) -> tuple[int, int, int]:
        """(size, alignment, number of core values)."""
        match t:
            case Prim("string") | MapT() | ListT(length=None):
                return 2 * self.ptr, self.ptr, 2
            case Prim(name):
                if name not in _PRIM_SIZES:
                    raise AbiError(f"unknown primitive value type {show(name)}")
                return _PRIM_SIZES[name], _PRIM_SIZES[name], 1
            case ListT(_, int(length)):
                return length * below[0].size, below[0].align, length * below[0].flat
            case RecordT() | TupleT():
                layout = self.record(children(t))
                return layout.size, layout.align, sum(info.flat for info in below)
            case FlagsT(_, int(size)) if size:
                return size, size, 1
            case FlagsT(labels):
                size = flags_size(len(labels))
                return size, min(max(size, 1), 4), flags_words(len(labels))
            case Own() | Borrow() | StreamT() | FutureT():
                return 4, 4, 1
        variant = self.variant(t)
        return variant.size, variant.align, 1 + max((info.flat for info in below), default=0)


def discriminant_size(cases: int) -> int:
    """Bytes of the discriminant of a variant with that many cases: 1, 2 or 4."""
    if not 0 < cases < 1 << 32:
        raise AbiError(f"a variant has 1 to 2^32-1 cases, not {show(cases)}")
    return 1 if cases <= 1 << 8 else 2 if cases <= 1 << 16 else 4


_shared: dict[int, Layouts] = {}


def layouts(ptr: int = 4) -> Layouts:
    """The table the functions below share.  It starts afresh when it has grown large, so hold on
    to the returned object only for the work at hand."""
    table = _shared.get(ptr)
    if table is None or len(table) > _SHARED_NODES:
        table = _shared[ptr] = Layouts(ptr)
    return table


def size(t: ValType, ptr: int = 4) -> int:
    """Bytes of a value as an element of a list ("elem_size" in the spec)."""
    return layouts(ptr).info(t).size


def align(t: ValType, ptr: int = 4) -> int:
    return layouts(ptr).info(t).align

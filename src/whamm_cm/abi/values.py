"""Python values of WIT types, moved to and from guest memory and core values.

Shapes: bool, int, float, str (string and char); ``list<u8>`` is bytes, any other list, a
fixed-length list (of ``u8`` too) and a tuple are lists, a map is a list of ``[key, value]``; a
record is a dict; a variant is ``{case: payload}`` (None without one), a result ``{"ok": …}`` or
``{"error": …}``, an enum its label, flags the list of labels set; an option is None or the payload,
and when the payload is an option itself, None or ``{"some": payload}``; a handle, stream, future or
error-context is its number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from whamm_cm.abi.codecs import (
    BoolCodec,
    BytesCodec,
    CharCodec,
    Codec,
    Core,
    Field,
    FixedListCodec,
    FlagsCodec,
    FloatCodec,
    IntCodec,
    ListCodec,
    RecordCodec,
    StringCodec,
    TupleCodec,
)
from whamm_cm.abi.faults import AbiError
from whamm_cm.abi.flatten import flatten
from whamm_cm.abi.heap import Heap
from whamm_cm.abi.layout import Layouts, children, flags_words, layouts, postorder, variant_cases
from whamm_cm.abi.strings import Encoding, Memory
from whamm_cm.abi.variants import Shape, VariantCodec
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
    StreamT,
    TupleT,
    ValType,
    strip,
)


@dataclass(frozen=True, slots=True)
class Options:
    """The canon options that decide how values lie in memory; ``ptr`` is 8 for a 64-bit one."""

    ptr: int = 4
    encoding: Encoding = "utf8"


DEFAULT = Options()

# Nodes the shared codecs may hold before they start again (see layout.layouts).
_SHARED_NODES = 50_000


def load(t: ValType, mem: Memory, off: int, opts: Options = DEFAULT) -> Any:
    """The value whose image starts at ``off``, which need not be aligned; addresses inside it
    refer to ``mem`` and have to be.  Raises AbiError where the spec traps."""
    size = layouts(opts.ptr).info(t).size
    if off < 0 or off + size > len(mem):
        raise AbiError(f"a value at offset {off} does not fit into {len(mem)} bytes of memory")
    return _codec(t, opts).load(mem, off)


def store(t: ValType, value: object, heap: Heap, off: int, opts: Options = DEFAULT) -> None:
    """Write the image of ``value`` at ``off``, and what it points to into fresh memory.  Padding is
    left as it is.  Raises AbiError when ``value`` is not of type ``t``."""
    _codec(t, opts).store(heap, value, off)


def lift_flat(t: ValType, flat: Sequence[Core], mem: Memory, opts: Options = DEFAULT) -> Any:
    """The value of the core values ``flat`` (of the types ``flatten(t)``); integers may be signed
    or unsigned.  Raises AbiError where the spec traps."""
    wanted = len(flatten(t, opts.ptr))
    if len(flat) != wanted:
        raise AbiError(f"{wanted} core values were expected, not {len(flat)}")
    return _codec(t, opts).lift(mem, flat, 0)


def lower_flat(t: ValType, value: object, heap: Heap, opts: Options = DEFAULT) -> list[Core]:
    """The core values of ``value``, integers unsigned; what it points to goes into fresh memory."""
    flatten(t, opts.ptr)
    return _codec(t, opts).lower(heap, value)


_shared: dict[Options, dict[ValType, Codec]] = {}


def _codec(t: ValType, opts: Options) -> Codec:
    known = _shared.setdefault(opts, {})
    if len(known) > _SHARED_NODES:
        known = _shared[opts] = {}
    table = layouts(opts.ptr)
    table.info(t)
    for part in postorder(t, known):
        known[part] = _Builder(table, opts, known).build(part)
    return known[strip(t)]


@dataclass(frozen=True, slots=True)
class _Builder:
    """Makes the codec of a stripped node whose children are in ``known``."""

    table: Layouts
    opts: Options
    known: dict[ValType, Codec]

    def build(self, t: ValType) -> Codec:
        for child in children(t):
            # Values of no size would make a list of any length, or a tree of any width, fit.
            if not self.table.info(child).size:
                raise AbiError("a type without any value bits cannot be part of another")
        match t:
            case Prim(name):
                return StringCodec(self.opts.ptr, self.opts.encoding) if name == "string" else (
                    _PRIMS[name]
                )  # fmt: skip
            case ListT(element, length):
                return self._list(element, length)
            case MapT(key, value):
                return self._map(key, value)
            case RecordT(fields):
                return RecordCodec(self._fields([f for f, _ in fields], [u for _, u in fields]))
            case TupleT(types):
                return TupleCodec(self._fields([""] * len(types), types))
            case FlagsT(labels):
                return FlagsCodec(labels, self.table.info(t).size, flags_words(len(labels)))
            case Own() | Borrow() | StreamT() | FutureT():
                return _HANDLE
        cases = [
            (label, None if payload is None else self.known[strip(payload)])
            for label, payload in variant_cases(t)
        ]
        return VariantCodec(t, self.opts.ptr, self.table.variant(t), _shape(t), cases)

    def _list(self, element: ValType, length: int | None) -> Codec:
        info, node = self.table.info(element), strip(element)
        if length is not None:
            return FixedListCodec(length, info.size, info.flat, self.known[node])
        if isinstance(node, Prim) and node.name == "u8":
            return BytesCodec(self.opts.ptr)
        return ListCodec(self.opts.ptr, info.size, info.align, self.known[node])

    def _map(self, key: ValType, value: ValType) -> Codec:
        entry = self.table.record((key, value))
        codec = TupleCodec(self._fields(["", ""], [key, value]))
        return ListCodec(self.opts.ptr, entry.size, entry.align, codec)

    def _fields(self, labels: Sequence[str], types: Sequence[ValType]) -> tuple[Field, ...]:
        fields, at = [], 0
        for label, t, offset in zip(labels, types, self.table.record(types).offsets, strict=True):
            fields.append(Field(label, offset, at, self.known[strip(t)]))
            at += self.table.info(t).flat
        return tuple(fields)


def _shape(t: ValType) -> Shape:
    if isinstance(t, OptionT):
        return "boxed" if isinstance(strip(t.inner), OptionT) else "bare"
    return "label" if isinstance(t, EnumT) else "cases"


_HANDLE = IntCodec("a handle", 4, False, 32)

_PRIMS: dict[str, Codec] = {
    "bool": BoolCodec(),
    "s8": IntCodec("s8", 1, True, 32),
    "u8": IntCodec("u8", 1, False, 32),
    "s16": IntCodec("s16", 2, True, 32),
    "u16": IntCodec("u16", 2, False, 32),
    "s32": IntCodec("s32", 4, True, 32),
    "u32": IntCodec("u32", 4, False, 32),
    "s64": IntCodec("s64", 8, True, 64),
    "u64": IntCodec("u64", 8, False, 64),
    "f32": FloatCodec(double=False),
    "f64": FloatCodec(double=True),
    "char": CharCodec(),
    "error-context": _HANDLE,
}

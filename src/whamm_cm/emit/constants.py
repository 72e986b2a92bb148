"""WIT constants as blocks of guest memory, for answers that a probe gives in a callee's place.

Everything a value points to becomes a block of its own, as the guest may free each by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import Any

from whamm_cm.abi.faults import AbiError
from whamm_cm.abi.heap import Heap
from whamm_cm.abi.layout import align_to, layouts, variant_cases
from whamm_cm.abi.values import Options, lower_flat, store
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import WeaveError
from whamm_cm.lang import tree
from whamm_cm.wit.types import (
    EnumT,
    FlagsT,
    ListT,
    MapT,
    OptionT,
    Prim,
    RecordT,
    ResultT,
    TupleT,
    ValType,
    VariantT,
    strip,
)  # fmt: skip

_MAX = 1 << 16
#: Two addresses to lay a value out at; words that differ by their distance are pointers.
_BASES = (1 << 24, 1 << 25)


@dataclass(frozen=True, slots=True)
class Block:
    """``data`` goes to fresh memory; ``pointers``: at which offsets the address of which block."""

    align: int
    data: bytes
    pointers: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class _Layout(Heap):
    base: int
    blocks: list[tuple[int, int, bytearray]] = field(default_factory=list)

    def alloc(self, align: int, size: int) -> int:
        end = self.base
        if self.blocks:
            address, _, data = self.blocks[-1]
            end = address + len(data) + 1  # a gap, so that every address is one block's
        if end + size - self.base > _MAX:
            raise AbiError(f"a constant of more than {_MAX} bytes")
        self.blocks.append((align_to(end, max(align, 8)), align, bytearray(size)))
        return self.blocks[-1][0]

    def write(self, address: int, data: bytes) -> None:
        for start, _, block in self.blocks:
            if start <= address and address + len(data) <= start + len(block):
                block[address - start : address - start + len(data)] = data


def blocks(t: ValType, value: object, options: Options) -> tuple[Block, ...]:
    """The image of ``value``, first, and what it points to.  Raises WeaveError when ``value`` is
    no constant of ``t``."""
    info = layouts(options.ptr).info(t)
    try:
        first, second = (_lay_out(t, value, options, base, info.size, info.align)
                         for base in _BASES)  # fmt: skip
    except AbiError as e:
        raise WeaveError(f"this answer is no constant of the function's result: {e}") from e
    return _blocks(first, second, options)


def _blocks(first: _Layout, second: _Layout, options: Options) -> tuple[Block, ...]:
    starts = {start: k for k, (start, _, _) in enumerate(first.blocks)}
    found = []
    for (_, align, data), (_, _, other) in zip(first.blocks, second.blocks, strict=True):
        pointers = tuple(_pointers(data, other, options.ptr, starts))
        found.append(Block(align, bytes(data), pointers))
    return tuple(found)


def _lay_out(
    t: ValType, value: object, options: Options, base: int, size: int, align: int
) -> _Layout:
    heap = _Layout(base)
    store(t, value, heap, heap.alloc(align, size), options)
    return heap


def _pointers(
    data: bytearray, other: bytearray, ptr: int, starts: dict[int, int]
) -> Iterator[tuple[int, int]]:
    for at in range(0, len(data) - ptr + 1, ptr):
        a, b = (int.from_bytes(raw[at : at + ptr], "little") for raw in (data, other))
        if b - a == _BASES[1] - _BASES[0]:
            yield at, starts[a]


def flat(t: ValType, value: object, options: Options) -> int | float:
    """The one core value of a constant.  Raises WeaveError when it is none of ``t``."""
    try:
        [core] = lower_flat(t, value, _Layout(_BASES[0]), options)
    except AbiError as e:
        raise WeaveError(f"this answer is no constant of the function's result: {e}") from e
    return core


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a block, by its number."""

    block: int


def flats(
    t: ValType, value: object, options: Options
) -> tuple[tuple[int | float | Address, ...], tuple[Block, ...]]:
    """The core values of a constant, and what they point to.  Raises WeaveError when it is none of
    ``t``."""
    first, second = (_Layout(base) for base in _BASES)
    try:
        cores, others = (lower_flat(t, value, heap, options) for heap in (first, second))
    except AbiError as e:
        raise WeaveError(f"this answer is no constant of the function's result: {e}") from e
    starts = {start: k for k, (start, _, _) in enumerate(first.blocks)}
    found = tuple(a if a == b or a != a else Address(starts[int(a)])
                  for a, b in zip(cores, others, strict=True))  # fmt: skip
    return found, _blocks(first, second, options)


def constant(t: ValType, expr: tree.Const | tree.WitConst) -> Any:
    """The value of a constant in the shapes of ``abi.values``, which those of WIT types have."""
    if isinstance(expr, tree.WitConst):
        return expr.value
    node, value = strip(t), expr.value
    if isinstance(value, int) and not isinstance(value, bool):
        match node:
            case Prim("char"):
                return chr(value) if value < 0x110000 and not 0xD800 <= value < 0xE000 else value
            case Prim("f32" | "f64"):
                return float(value)
            case EnumT(labels):
                return labels[value] if 0 <= value < len(labels) else value
            case FlagsT(labels):
                return [label for i, label in enumerate(labels) if value >> i & 1]
    return value


def failure(result: ValType | None, case: int) -> Any:
    """The value ``fail`` stands for: error case number ``case``, which carries nothing.  Raises
    WeaveError where the function has no such error."""
    node = None if result is None else strip(result)
    if not isinstance(node, ResultT) or node.err is None:
        raise WeaveError("fail: the function's result has no error cases")
    error = strip(node.err)
    if not isinstance(error, (EnumT, VariantT)):
        raise WeaveError("fail: the function's error is no enum or variant; use return")
    cases = variant_cases(error)
    if not 0 <= case < len(cases):
        raise WeaveError(f"fail: case {case} of an error with {len(cases)} cases")
    label, payload = cases[case]
    if payload is not None:
        raise WeaveError(f"fail: the error '{label}' carries a value; use return")
    return {"error": label if isinstance(error, EnumT) else {label: None}}


def has_handles(t: ValType, value: Any) -> bool:
    """Whether a constant has a handle, stream or future, which no one can make up, in it."""
    node = strip(t)
    match node:
        case Prim(name):
            return name == "error-context"
        case EnumT() | FlagsT():
            return False
        case ListT(element):
            return any(has_handles(element, item) for item in value)
        case MapT(key, item):
            return any(has_handles(key, k) or has_handles(item, v) for k, v in value)
        case RecordT(named):
            return any(has_handles(part, value[name]) for name, part in named)
        case TupleT(parts):
            return any(map(has_handles, parts, value))
        case OptionT(inner):
            return value is not None and has_handles(
                inner, value["some"] if isinstance(strip(inner), OptionT) else value
            )
        case VariantT() | ResultT():
            [(label, payload)] = value.items()
            part = dict(variant_cases(node))[label]
            return part is not None and has_handles(part, payload)
    return True

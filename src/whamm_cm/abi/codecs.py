"""One codec per kind of type: the four ways a value moves between Python and a guest.

``load``/``store`` work on the memory image, ``lift``/``lower`` on core values.  Each costs one
Python frame per level of the type, which :data:`~whamm_cm.abi.layout.MAX_TYPE_DEPTH` relies on (no
comprehension or helper may sit between a codec and its child's).  CanonicalABI.md, "Loading",
"Storing", "Flat Lifting", "Flat Lowering".
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any, Protocol

from whamm_cm.abi.faults import AbiError, show
from whamm_cm.abi.flatten import SlotCast
from whamm_cm.abi.heap import Heap
from whamm_cm.abi.strings import Encoding, Memory, decode_string, encode_string
from whamm_cm.dataclass import dataclass

Core = int | float
"""A core value: integers of either signedness are taken, unsigned ones given."""

MAX_LIST_BYTE_LENGTH = (1 << 28) - 1


class Codec(Protocol):
    def load(self, mem: Memory, off: int) -> Any:
        """The caller has checked that the image lies inside ``mem``."""

    def store(self, heap: Heap, value: object, off: int) -> None: ...

    def lift(self, mem: Memory, flat: Sequence[Core], at: int) -> Any:
        """The caller has checked that ``flat`` holds all of the type's values from ``at`` on."""

    def lower(self, heap: Heap, value: object) -> list[Core]: ...


def core_int(value: Core, bits: int) -> int:
    """A core integer as the unsigned number of its low bits."""
    if not isinstance(value, int):
        raise AbiError(f"a core integer was expected, not {show(value)}")
    return value & ((1 << bits) - 1)


def lifted_float(value: Core) -> float:
    """NaNs lose sign and payload, as in the spec."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise AbiError(f"a core float was expected, not {show(value)}")
    return math.nan if value != value else float(value)


def float_bits(value: Core, double: bool) -> int:
    value = lifted_float(value)
    form, bits = ("<d", "<Q") if double else ("<f", "<I")
    return int(struct.unpack(bits, struct.pack(form, value))[0])


def bits_float(bits: int, double: bool) -> float:
    form, raw = ("<d", "<Q") if double else ("<f", "<I")
    return lifted_float(struct.unpack(form, struct.pack(raw, bits))[0])


@dataclass(frozen=True, slots=True)
class IntCodec:
    """Integers, and handles as ``u32``.  ``core`` is 32 or 64."""

    name: str
    size: int
    signed: bool
    core: int

    def load(self, mem: Memory, off: int) -> int:
        return int.from_bytes(mem[off : off + self.size], "little", signed=self.signed)

    def store(self, heap: Heap, value: object, off: int) -> None:
        number = self._check(value)
        heap.write(off, number.to_bytes(self.size, "little", signed=self.signed))

    def lift(self, mem: Memory, flat: Sequence[Core], at: int) -> int:
        bits = 8 * self.size
        number = core_int(flat[at], bits)
        return number - (1 << bits) if self.signed and number >> (bits - 1) else number

    def lower(self, heap: Heap, value: object) -> list[Core]:
        return [core_int(self._check(value), self.core)]

    def _check(self, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise AbiError(f"{self.name} takes an integer, not {show(value)}")
        bits = 8 * self.size - self.signed
        if not (-(1 << bits) if self.signed else 0) <= value < 1 << bits:
            raise AbiError(f"{show(value)} is out of the range of {self.name}")
        return value


@dataclass(frozen=True, slots=True)
class BoolCodec:
    def load(self, mem: Memory, off: int) -> bool:
        return mem[off] != 0

    def store(self, heap: Heap, value: object, off: int) -> None:
        heap.write(off, bytes((self._check(value),)))

    def lift(self, mem: Memory, flat: Sequence[Core], at: int) -> bool:
        return core_int(flat[at], 32) != 0

    def lower(self, heap: Heap, value: object) -> list[Core]:
        return [int(self._check(value))]

    def _check(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise AbiError(f"bool takes True or False, not {show(value)}")
        return value


@dataclass(frozen=True, slots=True)
class FloatCodec:
    double: bool

    def load(self, mem: Memory, off: int) -> float:
        raw = mem[off : off + (8 if self.double else 4)]
        return bits_float(int.from_bytes(raw, "little"), self.double)

    def store(self, heap: Heap, value: object, off: int) -> None:
        heap.write(off, struct.pack("<d" if self.double else "<f", self._check(value)))

    def lift(self, mem: Memory, flat: Sequence[Core], at: int) -> float:
        return lifted_float(flat[at])

    def lower(self, heap: Heap, value: object) -> list[Core]:
        return [self._check(value)]

    def _check(self, value: object) -> float:
        """Rounded to the type's precision."""
        name = "f64" if self.double else "f32"
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise AbiError(f"{name} takes a number, not {show(value)}")
        try:
            number = lifted_float(value)
            return number if self.double else bits_float(float_bits(number, False), False)
        except OverflowError as e:
            raise AbiError(f"{show(value)} is out of the range of {name}") from e


@dataclass(frozen=True, slots=True)
class CharCodec:
    def load(self, mem: Memory, off: int) -> str:
        return self._char(int.from_bytes(mem[off : off + 4], "little"))

    def store(self, heap: Heap, value: object, off: int) -> None:
        heap.write(off, self._code(value).to_bytes(4, "little"))

    def lift(self, mem: Memory, flat: Sequence[Core], at: int) -> str:
        return self._char(core_int(flat[at], 32))

    def lower(self, heap: Heap, value: object) -> list[Core]:
        return [self._code(value)]

    def _char(self, code: int) -> str:
        if code >= 0x110000 or 0xD800 <= code <= 0xDFFF:
            raise AbiError(f"0x{code:x} is not a char (a Unicode scalar value)")
        return chr(code)

    def _code(self, value: object) -> int:
        if not isinstance(value, str) or len(value) != 1 or "\ud800" <= value <= "\udfff":
            raise AbiError(f"char takes one Unicode scalar value, not {show(value)}")
        return ord(value)


class Spans:
    """Shared by string and list codecs: an (address, length word) pair in memory or flat.

    A subclass says what a span holds; it must not add a frame on the way to a child codec.
    """

    __slots__ = ("ptr",)

    def __init__(self, ptr: int) -> None:
        self.ptr = ptr

    def pair(self, mem: Memory, off: int) -> tuple[int, int]:
        middle, end = off + self.ptr, off + 2 * self.ptr
        return int.from_bytes(mem[off:middle], "little"), int.from_bytes(mem[middle:end], "little")

    def flat_pair(self, flat: Sequence[Core], at: int) -> tuple[int, int]:
        return core_int(flat[at], 8 * self.ptr), core_int(flat[at + 1], 8 * self.ptr)

    def write_pair(self, heap: Heap, off: int, pair: tuple[int, int]) -> None:
        for at, word in zip((off, off + self.ptr), pair, strict=True):
            heap.write(at, word.to_bytes(self.ptr, "little"))


class StringCodec(Spans):
    __slots__ = ("encoding",)

    def __init__(self, ptr: int, encoding: Encoding) -> None:
        super().__init__(ptr)
        self.encoding = encoding

    def load(self, mem: Memory, off: int) -> str:
        return decode_string(mem, *self.pair(mem, off), self.encoding, self.ptr)

    def store(self, heap: Heap, value: object, off: int) -> None:
        self.write_pair(heap, off, self._put(heap, value))

    def lift(self, mem: Memory, flat: Sequence[Core], at: int) -> str:
        return decode_string(mem, *self.flat_pair(flat, at), self.encoding, self.ptr)

    def lower(self, heap: Heap, value: object) -> list[Core]:
        return list(self._put(heap, value))

    def _put(self, heap: Heap, value: object) -> tuple[int, int]:
        if not isinstance(value, str):
            raise AbiError(f"string takes a str, not {show(value)}")
        data, length_word, align = encode_string(value, self.encoding, self.ptr)
        address = heap.alloc(align, len(data))
        heap.write(address, data)
        return address, length_word


class Elements(Spans):
    """Bounds and allocation common to ``list<u8>`` and other lists."""

    __slots__ = ("align", "size")

    def __init__(self, ptr: int, size: int, align: int) -> None:
        super().__init__(ptr)
        self.size, self.align = size, align

    def check_span(self, mem: Memory, address: int, count: int) -> None:
        length = count * self.size
        if length > MAX_LIST_BYTE_LENGTH:
            raise AbiError(f"a list of {length} bytes is over the limit of 2^28-1")
        if address % self.align:
            raise AbiError(f"a list at 0x{address:x} is not aligned to {self.align}")
        if address + length > len(mem):
            raise AbiError(f"a list at 0x{address:x}..0x{address + length:x} is outside memory")

    def room(self, heap: Heap, count: int) -> int:
        if count * self.size > MAX_LIST_BYTE_LENGTH:
            raise AbiError(f"a list of {count * self.size} bytes is over the limit of 2^28-1")
        return heap.alloc(self.align, count * self.size)


class BytesCodec(Elements):
    """``list<u8>`` as ``bytes``."""

    __slots__ = ()

    def __init__(self, ptr: int) -> None:
        super().__init__(ptr, 1, 1)

    def load(self, mem: Memory, off: int) -> bytes:
        return self._get(mem, *self.pair(mem, off))

    def store(self, heap: Heap, value: object, off: int) -> None:
        self.write_pair(heap, off, self._put(heap, value))

    def lift(self, mem: Memory, flat: Sequence[Core], at: int) -> bytes:
        return self._get(mem, *self.flat_pair(flat, at))

    def lower(self, heap: Heap, value: object) -> list[Core]:
        return list(self._put(heap, value))

    def _get(self, mem: Memory, address: int, count: int) -> bytes:
        self.check_span(mem, address, count)
        return bytes(mem[address : address + count])

    def _put(self, heap: Heap, value: object) -> tuple[int, int]:
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise AbiError(f"list<u8> takes bytes, not {show(value)}")
        data = bytes(value)
        address = self.room(heap, len(data))
        heap.write(address, data)
        return address, len(data)


class ListCodec(Elements):
    """Lists behind a pointer; a map is the list of its entries."""

    __slots__ = ("element",)

    def __init__(self, ptr: int, size: int, align: int, element: Codec) -> None:
        super().__init__(ptr, size, align)
        self.element = element

    def load(self, mem: Memory, off: int) -> list[Any]:
        address, count = self.pair(mem, off)
        self.check_span(mem, address, count)
        values = []
        for i in range(count):
            values.append(self.element.load(mem, address + i * self.size))
        return values

    def store(self, heap: Heap, value: object, off: int) -> None:
        items = as_list(value, "a list or map")
        address = self.room(heap, len(items))
        for i, item in enumerate(items):
            self.element.store(heap, item, address + i * self.size)
        self.write_pair(heap, off, (address, len(items)))

    def lift(self, mem: Memory, flat: Sequence[Core], at: int) -> list[Any]:
        address, count = self.flat_pair(flat, at)
        self.check_span(mem, address, count)
        values = []
        for i in range(count):
            values.append(self.element.load(mem, address + i * self.size))
        return values

    def lower(self, heap: Heap, value: object) -> list[Core]:
        items = as_list(value, "a list or map")
        address = self.room(heap, len(items))
        for i, item in enumerate(items):
            self.element.store(heap, item, address + i * self.size)
        return [address, len(items)]


@dataclass(frozen=True, slots=True)
class FixedListCodec:
    """``size`` and ``flat`` are those of one element."""

    length: int
    size: int
    flat: int
    element: Codec

    def load(self, mem: Memory, off: int) -> list[Any]:
        values = []
        for i in range(self.length):
            values.append(self.element.load(mem, off + i * self.size))
        return values

    def store(self, heap: Heap, value: object, off: int) -> None:
        for i, item in enumerate(self._check(value)):
            self.element.store(heap, item, off + i * self.size)

    def lift(self, mem: Memory, flat: Sequence[Core], at: int) -> list[Any]:
        values = []
        for i in range(self.length):
            values.append(self.element.lift(mem, flat, at + i * self.flat))
        return values

    def lower(self, heap: Heap, value: object) -> list[Core]:
        flat = []
        for item in self._check(value):
            flat += self.element.lower(heap, item)
        return flat

    def _check(self, value: object) -> Sequence[object]:
        items = as_list(value, "a fixed-length list")
        if len(items) != self.length:
            raise AbiError(f"a list of exactly {self.length} was expected, not of {len(items)}")
        return items


@dataclass(frozen=True, slots=True)
class Field:
    """``at`` counts the core values before this field."""

    label: str
    offset: int
    at: int
    codec: Codec


@dataclass(frozen=True, slots=True)
class RecordCodec:
    fields: tuple[Field, ...]

    def load(self, mem: Memory, off: int) -> dict[str, Any]:
        values = {}
        for field in self.fields:
            values[field.label] = field.codec.load(mem, off + field.offset)
        return values

    def store(self, heap: Heap, value: object, off: int) -> None:
        values = self._check(value)
        for field in self.fields:
            field.codec.store(heap, values[field.label], off + field.offset)

    def lift(self, mem: Memory, flat: Sequence[Core], at: int) -> dict[str, Any]:
        values = {}
        for field in self.fields:
            values[field.label] = field.codec.lift(mem, flat, at + field.at)
        return values

    def lower(self, heap: Heap, value: object) -> list[Core]:
        values = self._check(value)
        flat = []
        for field in self.fields:
            flat += field.codec.lower(heap, values[field.label])
        return flat

    def _check(self, value: object) -> dict[str, object]:
        if not isinstance(value, dict):
            raise AbiError(f"a record takes a dict, not {show(value)}")
        labels = {field.label for field in self.fields}
        if value.keys() != labels:
            wrong = sorted(map(str, value.keys() ^ labels))
            raise AbiError(f"missing or unknown record fields: {', '.join(wrong)}")
        return value


@dataclass(frozen=True, slots=True)
class TupleCodec:
    """Tuples, and entries of maps, as lists."""

    fields: tuple[Field, ...]

    def load(self, mem: Memory, off: int) -> list[Any]:
        values = []
        for field in self.fields:
            values.append(field.codec.load(mem, off + field.offset))
        return values

    def store(self, heap: Heap, value: object, off: int) -> None:
        for field, item in zip(self.fields, self._check(value), strict=True):
            field.codec.store(heap, item, off + field.offset)

    def lift(self, mem: Memory, flat: Sequence[Core], at: int) -> list[Any]:
        values = []
        for field in self.fields:
            values.append(field.codec.lift(mem, flat, at + field.at))
        return values

    def lower(self, heap: Heap, value: object) -> list[Core]:
        flat = []
        for field, item in zip(self.fields, self._check(value), strict=True):
            flat += field.codec.lower(heap, item)
        return flat

    def _check(self, value: object) -> Sequence[object]:
        items = as_list(value, "a tuple")
        if len(items) != len(self.fields):
            raise AbiError(f"a tuple of {len(self.fields)} was expected, not of {len(items)}")
        return items


@dataclass(frozen=True, slots=True)
class FlagsCodec:
    """Labels that are set, in the type's order; bits past the last label are ignored."""

    labels: tuple[str, ...]
    size: int
    words: int

    def load(self, mem: Memory, off: int) -> list[str]:
        return self._unpack(int.from_bytes(mem[off : off + self.size], "little"))

    def store(self, heap: Heap, value: object, off: int) -> None:
        heap.write(off, self._pack(value).to_bytes(self.size, "little"))

    def lift(self, mem: Memory, flat: Sequence[Core], at: int) -> list[str]:
        bits = 0
        for word in range(self.words):
            bits |= core_int(flat[at + word], 32) << (32 * word)
        return self._unpack(bits)

    def lower(self, heap: Heap, value: object) -> list[Core]:
        bits = self._pack(value)
        return [bits >> (32 * word) & 0xFFFF_FFFF for word in range(self.words)]

    def _unpack(self, bits: int) -> list[str]:
        return [label for i, label in enumerate(self.labels) if bits >> i & 1]

    def _pack(self, value: object) -> int:
        chosen = as_list(value, "flags")
        for label in chosen:
            if label not in self.labels:
                raise AbiError(f"these flags have no label {show(label)}")
        return sum(1 << i for i, label in enumerate(self.labels) if label in chosen)


def as_list(value: object, what: str) -> Sequence[object]:
    if not isinstance(value, (list, tuple)):
        raise AbiError(f"{what} takes a list, not {show(value)}")
    return value


def cast_lift(slot: SlotCast, value: Core) -> Core:
    """A joined slot's value as the case's own core type."""
    if slot.joined == slot.flat:
        return value
    if slot.flat == "i32":
        return core_int(value, 32)
    double = slot.flat == "f64"
    return bits_float(core_int(value, 64 if double else 32), double)


def cast_lower(slot: SlotCast, value: Core) -> Core:
    """A case's core value as the joined slot's type."""
    if slot.joined == slot.flat or slot.flat == "i32":
        return value
    return float_bits(value, slot.flat == "f64")

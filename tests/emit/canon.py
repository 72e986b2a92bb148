"""A second, deliberately plain canonical ABI for tests: nothing here comes from ``whamm_cm.abi``.

``Guest`` puts values into a byte heap and flattens them; bits are plain integers, so the coercions
of joined variant slots are relabellings.  Values have the shapes of ``tests.strategies.values_of``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

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
)

INTS = {"bool": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "s32": 4, "u32": 4, "s64": 8, "u64": 8}
Core = tuple[str, int]


def cases_of(t: ValType) -> list[tuple[str, ValType | None]] | None:
    match t:
        case VariantT(cases):
            return list(cases)
        case EnumT(labels):
            return [(label, None) for label in labels]
        case OptionT(inner):
            return [("none", None), ("some", inner)]
        case ResultT(ok, err):
            return [("ok", ok), ("error", err)]
    return None


def parts_of(t: ValType) -> list[ValType] | None:
    match t:
        case RecordT(fields):
            return [f for _, f in fields]
        case TupleT(types):
            return list(types)
        case ListT(element, int(n)):
            return [element] * n
    return None


def element_of(t: ValType) -> ValType | None:
    match t:
        case MapT(key, value):
            return TupleT((key, value))
        case ListT(element, None):
            return element
    return None


def round_up(n: int, to: int) -> int:
    return n + -n % to


def flags_bytes(t: FlagsT) -> int:
    n = len(t.labels)
    return 1 if n <= 8 else 2 if n <= 16 else 4 * ((n + 31) // 32)


def disc_bytes(cases: list[Any]) -> int:
    return 1 if len(cases) <= 256 else 2 if len(cases) <= 65536 else 4


def size_align(t: ValType, ptr: int) -> tuple[int, int]:
    t = strip(t)
    if (cases := cases_of(t)) is not None:
        disc = disc_bytes(cases)
        inner = [size_align(p, ptr) for _, p in cases if p is not None] or [(0, 1)]
        align = max([disc] + [a for _, a in inner])
        start = round_up(disc, max(a for _, a in inner))
        return round_up(start + max(s for s, _ in inner), align), align
    if (parts := parts_of(t)) is not None:
        end, align = 0, 1
        for part in parts:
            s, a = size_align(part, ptr)
            end, align = round_up(end, a) + s, max(align, a)
        return round_up(end, align), align
    if element_of(t) is not None or (isinstance(t, Prim) and t.name == "string"):
        return 2 * ptr, ptr
    if isinstance(t, FlagsT):
        n = flags_bytes(t)
        return n, min(n, 4)
    n = 8 if isinstance(t, Prim) and t.name == "f64" else 4
    if isinstance(t, Prim):
        n = INTS.get(t.name, n)
    return n, n


def payload_at(cases: list[tuple[str, ValType | None]], ptr: int) -> int:
    aligns = [size_align(p, ptr)[1] for _, p in cases if p is not None]
    return round_up(disc_bytes(cases), max(aligns, default=1))


def part_offsets(parts: list[ValType], ptr: int) -> list[int]:
    out, end = [], 0
    for part in parts:
        s, a = size_align(part, ptr)
        end = round_up(end, a)
        out.append(end)
        end += s
    return out


def encode_text(text: str, encoding: str) -> tuple[bytes, int, bool]:
    """(bytes, code units, tagged)."""
    if encoding == "utf8":
        raw = text.encode()
        return raw, len(raw), False
    if encoding == "latin1+utf16" and all(ord(c) < 256 for c in text):
        return text.encode("latin-1"), len(text), False
    raw = text.encode("utf-16-le")
    return raw, len(raw) // 2, encoding == "latin1+utf16"


def pick(t: ValType, cases: list[tuple[str, ValType | None]], v: Any) -> tuple[int, Any]:
    """(case number, payload) of a value in the shape tests.strategies gives it."""
    if isinstance(t, EnumT):
        return t.labels.index(v), None
    if isinstance(t, OptionT):
        if v is None:
            return 0, None
        return 1, v["some"] if isinstance(strip(t.inner), OptionT) else v
    [(label, payload)] = v.items()
    return [name for name, _ in cases].index(label), payload


def items_of(t: ValType, v: Any) -> list[Any]:
    return list(v.values()) if isinstance(t, RecordT) else list(v)


def scalar_bits(t: ValType, v: Any) -> tuple[int, int]:
    """(bits, bytes) of a value that lies in one piece."""
    if isinstance(t, FlagsT):
        return sum(1 << i for i, label in enumerate(t.labels) if label in v), flags_bytes(t)
    name = t.name if isinstance(t, Prim) else "u32"
    if name == "char":
        return ord(v), 4
    if name in ("f32", "f64"):
        width, code = (4, "<f") if name == "f32" else (8, "<d")
        return int.from_bytes(struct.pack(code, v), "little"), width
    width = INTS.get(name, 4)
    return int(v) & ((1 << 8 * width) - 1), width


@dataclass
class Guest:
    """A bump-allocated heap that is copied into guest memory afterwards."""

    ptr: int = 4
    encoding: str = "utf8"
    base: int = 1024
    heap: bytearray = field(default_factory=bytearray)

    def alloc(self, size: int, align: int) -> int:
        at = round_up(self.base + len(self.heap), align)
        self.heap += bytes(at + size - self.base - len(self.heap))
        return at

    def poke(self, at: int, raw: bytes) -> None:
        self.heap[at - self.base : at - self.base + len(raw)] = raw

    def span(self, t: ValType, v: Any) -> tuple[int, int]:
        """Store what a string, list or map points to; (pointer, length word)."""
        element = element_of(t)
        if element is None:
            raw, units, tagged = encode_text(v, self.encoding)
            at = self.alloc(len(raw), 1 if self.encoding == "utf8" else 2)
            self.poke(at, raw)
            return at, units | tagged << (8 * self.ptr - 1)
        size, align = size_align(element, self.ptr)
        at = self.alloc(size * len(v), align)
        for i, item in enumerate(v):
            self.store(element, item, at + i * size)
        return at, len(v)

    def store(self, t: ValType, v: Any, at: int) -> None:
        t = strip(t)
        if (cases := cases_of(t)) is not None:
            case, payload = pick(t, cases, v)
            self.poke(at, case.to_bytes(disc_bytes(cases), "little"))
            inner = cases[case][1]
            if inner is not None:
                self.store(inner, payload, at + payload_at(cases, self.ptr))
        elif (parts := parts_of(t)) is not None:
            for part, item, offset in zip(
                parts, items_of(t, v), part_offsets(parts, self.ptr), strict=True
            ):
                self.store(part, item, at + offset)
        elif is_span(t):
            for i, word in enumerate(self.span(t, v)):
                self.poke(at + i * self.ptr, word.to_bytes(self.ptr, "little"))
        else:
            bits, width = scalar_bits(t, v)
            self.poke(at, bits.to_bytes(width, "little"))

    def store_all(self, types: list[ValType], values: list[Any]) -> int:
        """Store values as one record and return its address."""
        record = TupleT(tuple(types))
        size, align = size_align(record, self.ptr)
        at = self.alloc(size, align)
        self.store(record, values, at)
        return at

    def lower(self, t: ValType, v: Any) -> list[Core]:
        t = strip(t)
        if (cases := cases_of(t)) is not None:
            case, payload = pick(t, cases, v)
            inner = cases[case][1]
            have = [] if inner is None else self.lower(inner, payload)
            kinds = flat_types(t, self.ptr)[1:]
            bits = [b for _, b in have] + [0] * (len(kinds) - len(have))
            return [("i32", case), *zip(kinds, bits, strict=True)]
        if (parts := parts_of(t)) is not None:
            return [
                core
                for part, item in zip(parts, items_of(t, v), strict=True)
                for core in self.lower(part, item)
            ]
        if is_span(t):
            return [(f"i{8 * self.ptr}", word) for word in self.span(t, v)]
        bits, _ = scalar_bits(t, v)
        kinds = flat_types(t, self.ptr)
        if isinstance(t, FlagsT):
            return [(k, bits >> 32 * i & 0xFFFFFFFF) for i, k in enumerate(kinds)]
        if isinstance(t, Prim) and t.name in ("s8", "s16"):  # flat integers are sign-extended
            bits = int(v) & 0xFFFFFFFF
        return [(kinds[0], bits)]


def is_span(t: ValType) -> bool:
    return element_of(t) is not None or (isinstance(t, Prim) and t.name == "string")


def flat_types(t: ValType, ptr: int) -> list[str]:
    t = strip(t)
    if (cases := cases_of(t)) is not None:
        slots: list[str] = []
        for _, payload in cases:
            for i, kind in enumerate([] if payload is None else flat_types(payload, ptr)):
                if i == len(slots):
                    slots.append(kind)
                elif slots[i] != kind:
                    slots[i] = "i32" if {slots[i], kind} == {"i32", "f32"} else "i64"
        return ["i32", *slots]
    if (parts := parts_of(t)) is not None:
        return [kind for part in parts for kind in flat_types(part, ptr)]
    if is_span(t):
        return [f"i{8 * ptr}"] * 2
    if isinstance(t, FlagsT):
        return ["i32"] * ((len(t.labels) + 31) // 32)
    name = t.name if isinstance(t, Prim) else "u32"
    return [{"s64": "i64", "u64": "i64", "f32": "f32", "f64": "f64"}.get(name, "i32")]


def core_value(core: Core) -> int | float:
    """A core value as wasmtime's bindings take it."""
    kind, bits = core
    if kind == "f32":
        return float(struct.unpack("<f", bits.to_bytes(4, "little"))[0])
    if kind == "f64":
        return float(struct.unpack("<d", bits.to_bytes(8, "little"))[0])
    width = 32 if kind == "i32" else 64
    return bits - (1 << width) if bits >> (width - 1) else bits

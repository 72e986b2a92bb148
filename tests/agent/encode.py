"""Record bytes built from types and values, written against CONTRACT prose alone.

Shares no code with ``whamm_cm.abi`` or the decoder, so an agreement between them means something.
Values have the shapes of ``tests/strategies.py``.
"""

from __future__ import annotations

import base64
import random
import struct
from dataclasses import dataclass, field
from typing import Any

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

FORMATS = {
    "s8": "<b", "u8": "<B", "s16": "<h", "u16": "<H", "s32": "<i", "u32": "<I", "s64": "<q",
    "u64": "<Q", "f32": "<f", "f64": "<d", "error-context": "<I",
}  # fmt: skip


class Single:
    """Equal to any float that is the same f32."""

    def __init__(self, value: float) -> None:
        self.bits = struct.pack("<f", value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and struct.pack("<f", other) == self.bits

    def __repr__(self) -> str:
        return f"Single({struct.unpack('<f', self.bits)[0]!r})"


@dataclass
class Encoded:
    image: bytes
    tail: bytes
    json: Any


@dataclass
class Encoder:
    """``damage`` is the chance of a cut, redacted or bad string, list or map."""

    ptr: int = 4
    encoding: str = "utf8"
    damage: float = 0.0
    rng: random.Random = field(default_factory=lambda: random.Random(0))

    def encode(self, t: ValType, value: Any) -> Encoded:
        t = strip(t)
        match t:
            case Prim("string"):
                return self._string(value)
            case Prim(name):
                return self._prim(name, value)
            case ListT(element, int()):
                parts = [self.encode(element, each) for each in value]
                return _join(b"".join(p.image for p in parts), parts, [p.json for p in parts])
            case ListT(element):
                return self._list(element, value)
            case MapT(key, item):
                return self._list(TupleT((key, item)), value)
            case RecordT(fields):
                return self.record([(name, ft, value[name]) for name, ft in fields])
            case TupleT(types):
                done = self.record([(str(i), tt, value[i]) for i, tt in enumerate(types)])
                done.json = list(done.json.values())
                return done
            case FlagsT(labels):
                bits = sum(1 << labels.index(label) for label in value)
                return Encoded(bits.to_bytes(self.size(t), "little"), b"", value)
            case EnumT(labels):
                return self._case(t, labels.index(value), None, None, value)
            case Own() | Borrow() | StreamT() | FutureT():
                return Encoded(struct.pack("<I", value), b"", value)
        return self._variant(t, value)

    def record(self, fields: list[tuple[str, ValType, Any]]) -> Encoded:
        image, parts = b"", []
        for _, t, value in fields:
            part = self.encode(t, value)
            image = self._pad(image, self.align(t)) + part.image
            parts.append(part)
        image = self._pad(image, max(self.align(t) for _, t, _ in fields))
        names = [name for name, _, _ in fields]
        return _join(image, parts, dict(zip(names, [p.json for p in parts], strict=True)))

    def _pad(self, image: bytes, align: int) -> bytes:
        return image + self.rng.randbytes(-len(image) % align)

    def _prim(self, name: str, value: Any) -> Encoded:
        if name == "bool":
            return Encoded(bytes([value]), b"", value)
        if name == "char":
            return Encoded(struct.pack("<I", ord(value)), b"", value)
        image = struct.pack(FORMATS[name], value)
        if name in ("f32", "f64"):
            if value != value or value in (float("inf"), float("-inf")):
                return Encoded(image, b"", str(value))
            return Encoded(image, b"", Single(value) if name == "f32" else value)
        return Encoded(image, b"", value)

    def _address(self, length: int) -> tuple[int, bytes]:
        address = self.rng.getrandbits(8 * self.ptr)
        return address, (address.to_bytes(self.ptr, "little") + length.to_bytes(self.ptr, "little"))

    def _marker(self, address: int, total: int) -> tuple[bytes, Any] | None:
        """Sometimes: the tail and JSON of a redacted or bad pointer."""
        if self.rng.random() >= self.damage / 2:
            return None
        if self.rng.random() < 0.5:
            return b"\xfe\xff\xff\xff", {"~redacted": total}
        return b"\xff\xff\xff\xff", {"~bad": hex(address)}

    def _keep(self, total: int) -> int:
        return self.rng.randint(0, total) if self.rng.random() < self.damage else total

    def _string(self, value: str) -> Encoded:
        width, tag, codec = 1, 0, "utf-8"
        if self.encoding == "utf16" or (self.encoding != "utf8" and max(value, default="") > "ÿ"):
            width, codec = 2, "utf-16-le"
            tag = 0 if self.encoding == "utf16" else 1 << (8 * self.ptr - 1)
        elif self.encoding != "utf8":
            codec = "latin-1"
        data = value.encode(codec)
        units = len(data) // width
        address, image = self._address(units | tag)
        marked = self._marker(address, units)
        if marked:
            return Encoded(image, *marked)
        kept = self._keep(len(data))
        json: Any = value
        if kept < len(data):
            json = {"~cut": units, "~str": data[:kept].decode(codec, "ignore")}
        return Encoded(image, struct.pack("<I", kept) + data[:kept], json)

    def _list(self, element: ValType, value: Any) -> Encoded:
        total = len(value)
        address, image = self._address(total)
        marked = self._marker(address, total)
        if marked:
            return Encoded(image, *marked)
        kept = self._keep(total)
        if isinstance(value, bytes):
            json: Any = {"~b64": base64.b64encode(value[:kept]).decode()}
            tail = struct.pack("<I", kept) + value[:kept]
            return Encoded(image, tail, {"~cut": total, **json} if kept < total else json)
        parts = [self.encode(element, each) for each in value[:kept]]
        elements = struct.pack("<I", kept) + b"".join(p.image for p in parts)
        json = [p.json for p in parts]
        cut = {"~cut": total, "~list": json}
        return Encoded(
            image, elements + b"".join(p.tail for p in parts), cut if kept < total else json
        )

    def _variant(self, t: ValType, value: Any) -> Encoded:
        cases = _cases(t)
        if isinstance(t, OptionT):
            nested = isinstance(strip(t.inner), OptionT)
            if value is None:
                return self._case(t, 0, None, None, None)
            part = self.encode(t.inner, value["some"] if nested else value)
            return self._case(t, 1, t.inner, part, {"some": part.json} if nested else part.json)
        ((label, payload),) = value.items()
        index = [name for name, _ in cases].index(label)
        inner = cases[index][1]
        chosen = None if inner is None else self.encode(inner, payload)
        return self._case(t, index, inner, chosen, {label: chosen.json if chosen else None})

    def _case(
        self, t: ValType, index: int, inner: ValType | None, part: Encoded | None, json: Any
    ) -> Encoded:
        image = index.to_bytes(_disc(t), "little")
        if part is not None:
            aligns = [self.align(p) for _, p in _cases(t) if p is not None]
            image = self._pad(image, max(aligns)) + part.image
        image += self.rng.randbytes(self.size(t) - len(image))
        return Encoded(image, part.tail if part else b"", json)

    def align(self, t: ValType) -> int:
        t = strip(t)
        match t:
            case Prim("string") | ListT(_, None) | MapT():
                return self.ptr
            case Prim("bool"):
                return 1
            case Prim("char"):
                return 4
            case Prim(name):
                return struct.calcsize(FORMATS[name])
            case ListT(element, int()):
                return self.align(element)
            case RecordT(fields):
                return max(self.align(ft) for _, ft in fields)
            case TupleT(types):
                return max(self.align(tt) for tt in types)
            case FlagsT():
                return min(self.size(t), 4)
            case VariantT() | EnumT() | OptionT() | ResultT():
                payloads = [self.align(p) for _, p in _cases(t) if p is not None]
                return max([_disc(t), *payloads])
        return 4

    def size(self, t: ValType) -> int:
        t = strip(t)
        match t:
            case Prim("string") | ListT(_, None) | MapT():
                return 2 * self.ptr
            case Prim():
                return self.align(t)
            case ListT(element, int(length)):
                return length * self.size(element)
            case RecordT() | TupleT():
                types = t.types if isinstance(t, TupleT) else [ft for _, ft in t.fields]
                end = 0
                for each in types:
                    end += -end % self.align(each) + self.size(each)
                return end + -end % self.align(t)
            case FlagsT(labels):
                n = len(labels)
                return 1 if n <= 8 else 2 if n <= 16 else 4 * ((n + 31) // 32)
            case VariantT() | EnumT() | OptionT() | ResultT():
                payloads = [p for _, p in _cases(t) if p is not None]
                end = _disc(t)
                end += -end % max([self.align(p) for p in payloads], default=1)
                end += max([self.size(p) for p in payloads], default=0)
                return end + -end % self.align(t)
        return 4


def _join(image: bytes, parts: list[Encoded], json: Any) -> Encoded:
    return Encoded(image, b"".join(p.tail for p in parts), json)


def _cases(t: ValType) -> list[tuple[str, ValType | None]]:
    match t:
        case VariantT(cases):
            return list(cases)
        case EnumT(labels):
            return [(label, None) for label in labels]
        case OptionT(inner):
            return [("none", None), ("some", inner)]
        case ResultT(ok, err):
            return [("ok", ok), ("error", err)]
    raise AssertionError(t)


def _disc(t: ValType) -> int:
    n = len(_cases(t))
    return 1 if n <= 256 else 2 if n <= 65536 else 4


def record(
    site: int, phase: int, body: bytes, *, call: int = 1, flags: int = 0, times: bytes = b""
) -> bytes:
    """One record; ``times`` are the bytes that a TIMED flag announces."""
    rest = struct.pack("<IQ", site << 8 | flags << 4 | phase, call) + times + body
    return struct.pack("<I", len(rest) + 4) + rest


def block(
    *records: bytes,
    instance: int = 0,
    dropped: int = 0,
    final: bool = False,
    goes_on: bool = False,
) -> bytes:
    payload = b"".join(records)
    head = (0x324D4357, final | goes_on << 2, instance, 0, dropped, len(payload), 0)
    return struct.pack("<6IQ", *head) + payload


def finished(block: bytes) -> bytes:
    """The block, marked final."""
    return block[:4] + bytes((block[4] | 1,)) + block[5:] if len(block) > 4 else block

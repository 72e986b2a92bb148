"""Records read back for tests, and what they must say about a value.

Both sides use one neutral form: a scalar is its bits, a record a list, a variant (case, payload), a
string ("str", kept bytes, units), a list ("list", length, kept elements); "bad" and "redacted".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from tests.emit import canon
from whamm_cm.wit.types import ListT, Prim, TupleT, ValType, strip

SECRETS = {"authorization", "cookie", "set-cookie", "proxy-authorization", "x-api-key"}
#: Names that are longer than what is looked at count as secret.
LONGEST = 64


def is_secret(name: str) -> bool:
    low = name.lower().replace("_", "-")
    if low in {*SECRETS, "api-key", "apikey"} or len(name.encode()) > LONGEST:
        return True
    ends = ("-authorization", "-api-key", "-apikey", "-token", "-secret", "-password")
    extended = ("-key", "-signature", "-signature-256", "-auth", "-credential", "-session")
    return low.endswith(ends) or (low.startswith("x-") and low[1:].endswith(extended))


@dataclass(frozen=True)
class Record:
    site: int
    flags: int
    phase: int
    call: int
    body: bytes
    t_ns: int | None = None
    dur_ns: int | None = None


@dataclass(frozen=True)
class Block:
    final: bool
    instance: int
    dropped: int
    records: list[Record]


def parse(raw: bytes) -> list[Record]:
    out, at = [], 0
    while at < len(raw):
        size, word, call = struct.unpack_from("<IIQ", raw, at)
        assert 16 <= size <= 16384 and at + size <= len(raw)
        flags, phase, start = word >> 4 & 15, word & 15, at + 16
        times: list[int] = []
        if flags & 1:
            count = 2 if phase in (1, 4) else 1
            times = list(struct.unpack_from(f"<{count}Q", raw, start))
            start += 8 * count
        body = raw[start : at + size]
        out.append(Record(word >> 8, flags, phase, call, body, *times))
        at += size
    return out


def parse_block(raw: bytes) -> Block:
    magic, flags, instance, _, dropped, size, _ = struct.unpack_from("<IIIIIIQ", raw)
    assert magic == 0x324D4357 and len(raw) == 32 + size
    return Block(bool(flags & 1), instance, dropped, parse(raw[32:]))


class Body:
    """Reads one record body."""

    def __init__(self, raw: bytes, ptr: int, encoding: str) -> None:
        self.raw, self.ptr, self.encoding = raw, ptr, encoding
        self.at = 0

    def values(self, types: list[ValType]) -> list[Any]:
        record = TupleT(tuple(types))
        self.at = canon.size_align(record, self.ptr)[0]
        assert self.at <= len(self.raw)
        found = self.value(record, 0)
        assert self.at == len(self.raw), "bytes left over"
        assert isinstance(found, list)
        return found

    def uint(self, at: int, size: int) -> int:
        return int.from_bytes(self.raw[at : at + size], "little")

    def value(self, t: ValType, at: int) -> Any:
        t = strip(t)
        if (cases := canon.cases_of(t)) is not None:
            case = self.uint(at, canon.disc_bytes(cases))
            if case >= len(cases):
                return ("bad case", case)
            payload = cases[case][1]
            inner = at + canon.payload_at(cases, self.ptr)
            return (case, None if payload is None else self.value(payload, inner))
        if (parts := canon.parts_of(t)) is not None:
            offsets = canon.part_offsets(parts, self.ptr)
            return [self.value(p, at + o) for p, o in zip(parts, offsets, strict=True)]
        if canon.is_span(t):
            return self.span(t, self.uint(at + self.ptr, self.ptr))
        return self.uint(at, canon.size_align(t, self.ptr)[0])

    def span(self, t: ValType, length: int) -> Any:
        kept = 0
        if len(self.raw) - self.at >= 4:
            kept = self.uint(self.at, 4)
            self.at += 4
        if kept >= 0xFFFFFFFD:
            if kept == 0xFFFFFFFD:  # n, and the beginning of the secret
                self.at += 4 + self.uint(self.at, 4)
                assert self.at <= len(self.raw)
            return "bad" if kept == 0xFFFFFFFF else "redacted"
        element = canon.element_of(t)
        size = 1 if element is None else canon.size_align(element, self.ptr)[0]
        start = self.at
        self.at += kept * size
        assert self.at <= len(self.raw)
        if element is None:
            tag = 1 << (8 * self.ptr - 1)
            units = length & ~tag if self.encoding == "latin1+utf16" else length
            return ("str", self.raw[start : self.at], units)
        items = [self.value(element, start + i * size) for i in range(kept)]
        return ("list", length, items)


@dataclass(frozen=True)
class Expected:
    """What a record must hold of a value."""

    encoding: str = "utf8"
    max_string: int = 256
    max_list: int = 32

    def values(self, types: list[ValType], values: list[Any], mode: str = "none") -> list[Any]:
        return [self.value(t, v, mode) for t, v in zip(types, values, strict=True)]

    def value(self, t: ValType, v: Any, mode: str = "none") -> Any:
        t = strip(t)
        if (cases := canon.cases_of(t)) is not None:
            case, payload = canon.pick(t, cases, v)
            inner = cases[case][1]
            return (case, None if inner is None else self.value(inner, payload, mode))
        if (parts := canon.parts_of(t)) is not None:
            modes = [mode] * len(parts)
            if isinstance(t, TupleT) and len(parts) == 2 and is_string(parts[0]):
                modes = self.pair_modes(mode, v)
            items = canon.items_of(t, v)
            return [self.value(*each) for each in zip(parts, items, modes, strict=True)]
        if canon.is_span(t):
            return self.span(t, v, mode)
        return canon.scalar_bits(t, v)[0]

    @staticmethod
    def pair_modes(mode: str, v: Any) -> list[str]:
        if mode == "headers" and is_secret(v[0]):
            return ["none", "values"]
        return ["none", mode]

    def span(self, t: ValType, v: Any, mode: str) -> Any:
        element = canon.element_of(t)
        octets = isinstance(t, ListT) and getattr(strip(t.element), "name", None) == "u8"
        if mode == "values" and (element is None or octets):
            return "redacted"
        if element is None:
            raw, units, _ = canon.encode_text(v, self.encoding)
            one = len(raw) == units
            cap = self.max_string if one else self.max_string & ~1
            return ("str", raw[:cap], units)
        kept = v[: self.max_string if octets else self.max_list]
        return ("list", len(v), [self.value(element, item, mode) for item in kept])


def is_string(t: ValType) -> bool:
    node = strip(t)
    return isinstance(node, Prim) and node.name == "string"

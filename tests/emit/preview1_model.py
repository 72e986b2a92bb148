"""What a call of WASI preview 1 means, read from the guest's memory by the rules of C structures:
an implementation of its own, to compare records with."""

from __future__ import annotations

import base64
import codecs
import struct
from collections.abc import Callable
from typing import Any

from whamm_cm.wit import types as t
from whamm_cm.wit.preview1 import Function

MAX_STRING, MAX_LIST = 48, 6
_BUFFERS, _TEXT = 1 << 16, 1 << 16
_FORMATS = {"u8": "<B", "u16": "<H", "u32": "<I", "u64": "<Q", "s64": "<q"}


class Bad(Exception):
    """A record without values."""


def size_align(kind: t.ValType) -> tuple[int, int]:
    kind = t.strip(kind)
    match kind:
        case t.Prim(name):
            size = struct.calcsize(_FORMATS[name])
            return size, size
        case t.EnumT(_, size) | t.FlagsT(_, size):
            return size, size
        case t.Own():
            return 4, 4
        case t.RecordT(fields):
            end, most = 0, 1
            for _, part in fields:
                size, align = size_align(part)
                end = -(-end // align) * align + size
                most = max(most, align)
            return -(-end // most) * most, most
        case t.VariantT(cases):
            parts = [size_align(part) for _, part in cases if part is not None]
            most = max(align for _, align in parts)
            return most + -(-max(size for size, _ in parts) // most) * most, most
    raise AssertionError(kind)


def number(labels: tuple[str, ...], raw: int, size: int) -> Any:
    return labels[raw] if raw < len(labels) else {"~bad": hex(raw & (1 << 8 * size) - 1)}


def from_flat(kind: t.ValType, raw: int) -> Any:
    """A core value; numbers that are no case are recorded as -1, but those of 32 bits."""
    kind = t.strip(kind)
    match kind:
        case t.EnumT(labels, size):
            raw &= 0xFFFFFFFF
            return number(labels, raw if raw < len(labels) or size == 4 else -1 & 0xFFFFFFFF, size)
        case t.FlagsT(labels, size):
            return [label for i, label in enumerate(labels) if raw >> i & 1 and i < 8 * size]
        case t.Own():
            return raw & 0xFFFFFFFF
        case t.Prim(name):
            size = struct.calcsize(_FORMATS[name])
            data = (raw & (1 << 64) - 1).to_bytes(8, "little")[:size]
            return struct.unpack(_FORMATS[name], data)[0]
    raise AssertionError(kind)


def from_memory(kind: t.ValType, memory: bytes, at: int) -> Any:
    kind = t.strip(kind)
    match kind:
        case t.Prim(name):
            return struct.unpack_from(_FORMATS[name], memory, at)[0]
        case t.Own():
            return struct.unpack_from("<I", memory, at)[0]
        case t.EnumT(labels, size):
            return number(labels, int.from_bytes(memory[at : at + size], "little"), size)
        case t.FlagsT(labels, size):
            raw = int.from_bytes(memory[at : at + size], "little")
            return [label for i, label in enumerate(labels) if raw >> i & 1]
        case t.RecordT(fields):
            found, end = {}, at
            for name, part in fields:
                size, align = size_align(part)
                end = at + -(-(end - at) // align) * align
                found[name] = from_memory(part, memory, end)
                end += size
            return found
        case t.VariantT(cases):
            raw = memory[at]
            if raw >= len(cases):
                return {"~bad": hex(raw)}
            name, payload = cases[raw]
            assert payload is not None
            most = max(size_align(part)[1] for _, part in cases if part is not None)
            return {name: from_memory(payload, memory, at + most)}
    raise AssertionError(kind)


class Model:
    def __init__(self, function: Function, args: tuple[int, ...]) -> None:
        self.function = function
        self.args = [value & 0xFFFFFFFF if kind == "i" else value & (1 << 64) - 1
                     for value, kind in zip(args, function.core, strict=True)]  # fmt: skip
        self.counts: dict[str, int] = {}

    def inside(self, at: int, size: int) -> bool:
        return at + size <= len(self.memory)

    def word(self, at: int) -> int:
        return int(struct.unpack_from("<I", self.memory, at)[0])

    # --- values ---

    def call(self, memory: bytes) -> dict[str, Any]:
        """The arguments; Bad where buffers to be filled are in no array."""
        self.memory = memory
        return {
            part.name: self.value(part.how, part.type, part.at) for part in self.function.params
        }

    def result(self, memory: bytes, errno: int, counts: dict[str, int]) -> Any:
        """``counts``: what functions have said that tell how many strings there are."""
        self.memory, self.counts = memory, counts
        kind = self.function.result
        if kind is None:
            return None
        assert isinstance(kind, t.ResultT) and kind.err is not None
        if errno:
            errors = t.strip(kind.err)
            assert isinstance(errors, t.EnumT)
            return {"error": number(errors.labels, errno if errno < 77 else 0xFFFF, 2)}
        self.pointers()
        made = self.function.made
        values = [self.value(part.how, part.type, part.at) for part in made]
        if self.function.counts:
            counts[self.function.counts] = values[0]
        if len(made) > 1:
            return {"ok": {part.name: value for part, value in zip(made, values, strict=True)}}
        return {"ok": values[0] if values else None}

    def pointers(self) -> None:
        for part in self.function.made:
            at, size = None, 4
            if part.how == "out":
                at, size = part.at[0], size_align(part.type)[0]
            elif part.how in ("filled", "dirents"):
                at = part.at[1]
            elif part.how == "gather" and len(part.at) > 2:
                at = part.at[2]
            if at is not None and not self.inside(self.args[at], size):
                raise Bad

    def value(self, how: str, kind: t.ValType, at: tuple[int, ...]) -> Any:
        args = [self.args[k] for k in at]
        if how == "flat":
            return from_flat(kind, args[0])
        if how == "out":
            return from_memory(kind, self.memory, args[0])
        if how == "span":
            return self.span(kind, args[0], args[1])
        if how == "filled":
            return self.span(kind, args[0], self.word(args[1]))
        more: dict[str, Callable[[], Any]] = {
            "total": lambda: self.total(args[0], args[1]),
            "gather": lambda: self.gather(args),
            "strings": lambda: self.strings(args, False),
            "pairs": lambda: self.strings(args, True),
            "dirents": lambda: self.dirents(args[0], self.word(args[1])),
        }
        return more[how]()

    def span(self, kind: t.ValType, at: int, length: int) -> Any:
        kind = t.strip(kind)
        if isinstance(kind, t.Prim):
            return self.text(at, length)
        assert isinstance(kind, t.ListT)
        if isinstance(kind.element, t.Prim) and kind.element.name == "u8":
            if not self.inside(at, length):
                return {"~bad": hex(at)}
            return self.bytes(self.memory[at : at + min(length, MAX_STRING)], length)
        size = size_align(kind.element)[0]
        if not self.inside(at, size * length):
            return {"~bad": hex(at)}
        kept = min(length, MAX_LIST)
        found = [from_memory(kind.element, self.memory, at + i * size) for i in range(kept)]
        return self.items(found, length)

    def text(self, at: int, length: int) -> Any:
        if not self.inside(at, length):
            return {"~bad": hex(at)}
        whole = length <= MAX_STRING
        raw = self.memory[at : at + min(length, MAX_STRING)]
        shown = codecs.utf_8_decode(raw, "replace", whole)[0]
        return shown if whole else {"~cut": length, "~str": shown}

    @staticmethod
    def bytes(kept: bytes, total: int) -> Any:
        text = base64.b64encode(kept).decode()
        return {"~b64": text} if len(kept) == total else {"~cut": total, "~b64": text}

    @staticmethod
    def items(kept: list[Any], total: int) -> Any:
        return kept if len(kept) == total else {"~cut": total, "~list": kept}

    # --- buffers ---

    def buffers(self, at: int, count: int) -> list[tuple[int, int]]:
        count = min(count, _BUFFERS)
        return [struct.unpack_from("<II", self.memory, at + 8 * i) for i in range(count)]

    def total(self, at: int, count: int) -> int:
        if not self.inside(at, 8 * count):
            raise Bad
        return min(sum(size for _, size in self.buffers(at, count)), 0xFFFFFFFF)

    def gather(self, args: list[int]) -> Any:
        at, count = args[:2]
        if len(args) > 2:
            size = self.word(args[2])
        else:
            try:
                size = self.total(at, count)
            except Bad:
                size = 0xFFFFFFFF
        if size and not self.inside(at, 8 * count):
            return {"~bad": hex(at)}
        kept, left = b"", min(size, MAX_STRING)
        for start, length in self.buffers(at, count) if size else ():
            if not left:
                break
            if length and not self.inside(start, length):
                return {"~bad": hex(start)}
            kept += self.memory[start : start + min(length, left)]
            left = min(size, MAX_STRING) - len(kept)
        return self.bytes(kept, size)

    # --- strings and directories ---

    def strings(self, args: list[int], pairs: bool) -> Any:
        at, expected = args
        count = self.counts.get(self.function.name)
        found: list[Any] = []
        while (count is None or len(found) != count) and self.inside(at, 4):
            start = self.word(at)
            if count is None and start != expected:
                break
            end = self.memory.find(b"\0", start, start + _TEXT) if self.inside(start, 1) else start
            if end < 0:
                end = min(start + _TEXT, len(self.memory))
            if pairs and len(found) < MAX_LIST:
                name = self.memory.find(b"=", start, end)
                cut = end if name < 0 else name
                rest = end if name < 0 else name + 1
                found.append([self.text(start, cut - start), self.text(rest, end - rest)])
            else:
                found.append(self.text(start, end - start) if len(found) < MAX_LIST else None)
            expected, at = (end + 1) & 0xFFFFFFFF, at + 4
        return self.items(found[:MAX_LIST], len(found))

    def dirents(self, at: int, used: int) -> Any:
        if not self.inside(at, used):
            return {"~bad": hex(at)}
        found, end, number_ = [], at + used, 0
        while at + 24 <= end:
            following, inode, length, kind = struct.unpack_from("<QQIB", self.memory, at)
            if at + 24 + length > end:
                break
            if number_ < MAX_LIST:
                name, of = self.text(at + 24, length), number(_KINDS, kind, 1)
                found.append({"d_next": following, "d_ino": inode, "d_type": of, "d_name": name})
            number_, at = number_ + 1, at + 24 + length
        return self.items(found, number_)


_KINDS = ("unknown", "block_device", "character_device", "directory", "regular_file",
          "socket_dgram", "socket_stream", "symbolic_link")  # fmt: skip

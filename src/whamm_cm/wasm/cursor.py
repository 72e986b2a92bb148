"""A bounds-checked cursor over input bytes: every integer, name and vector is read by it.

:class:`whamm_cm.component.reader.Reader` adds what components need: index spaces and tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self, TypeAlias, TypeVar

from whamm_cm.errors import DecodeError

Buffer: TypeAlias = bytes | memoryview
T = TypeVar("T")


class Cursor:
    """Reads ``data[pos:end]``; ``offset`` is where ``data`` starts in the outermost input.

    Every failure is a :class:`DecodeError` at ``offset`` + position.
    """

    __slots__ = ("data", "end", "offset", "path", "pos")

    def __init__(self, data: Buffer, pos: int, end: int, offset: int = 0, path: str = "") -> None:
        self.data, self.pos, self.end, self.offset, self.path = data, pos, end, offset, path

    def error(self, message: str, at: int | None = None) -> DecodeError:
        return DecodeError(message, self.offset + (self.pos if at is None else at), self.path)

    def inside(self, step: str, fault: DecodeError) -> DecodeError:
        """``fault``, met while reading ``step`` (such as ``type[3]``), with that in its path."""
        inner = fault.path[len(self.path) :].lstrip(".")
        path = ".".join(part for part in (self.path, step, inner) if part)
        return DecodeError(fault.message, fault.offset, path)

    @property
    def left(self) -> int:
        return self.end - self.pos

    def u8(self, what: str = "a byte") -> int:
        pos = self.pos
        if pos >= self.end:
            raise self.error(f"unexpected end, expected {what}")
        self.pos = pos + 1
        return self.data[pos]

    def peek(self, what: str = "a byte") -> int:
        if self.pos >= self.end:
            raise self.error(f"unexpected end, expected {what}")
        return self.data[self.pos]

    def flag(self, what: str) -> bool:
        """A byte that is 0 or 1."""
        at, value = self.pos, self.u8(what)
        if value > 1:
            raise self.error(f"{what} must be 0 or 1, not 0x{value:02x}", at)
        return value == 1

    def u32(self, what: str = "a u32") -> int:
        pos = self.pos
        if pos < self.end and self.data[pos] < 0x80:  # nearly all integers are one byte long
            self.pos = pos + 1
            return self.data[pos]
        return self._leb(32, False, what)

    def u64(self, what: str = "a u64") -> int:
        return self._leb(64, False, what)

    def s32(self, what: str = "an i32") -> int:
        return self._leb(32, True, what)

    def s33(self, what: str = "a type") -> int:
        return self._leb(33, True, what)

    def s64(self, what: str = "an i64") -> int:
        return self._leb(64, True, what)

    def _leb(self, bits: int, signed: bool, what: str) -> int:
        start, result, shift = self.pos, 0, 0
        while True:
            byte = self.u8(what)
            result |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            if shift >= bits:
                raise self.error(f"{what} takes too many bytes for {bits} bits", start)
        low, high = 0, 1 << bits
        if signed:
            low, high = -(high >> 1), high >> 1
            if byte & 0x40:
                result -= 1 << shift
        if not low <= result < high:
            raise self.error(f"{what} does not fit in {bits} bits", start)
        return result

    def skip(self, size: int, what: str) -> int:
        """Step over ``size`` bytes and return where they start."""
        start = self.pos
        if size > self.end - start:
            raise self.error(f"{what} of {size} bytes runs past the end ({self.left} bytes left)")
        self.pos = start + size
        return start

    def inner(self, size: int, what: str) -> Self:
        """Step over ``size`` bytes and return a cursor over them."""
        start = self.skip(size, what)
        return type(self)(self.data, start, self.pos, self.offset, self.path)

    def name(self, what: str = "name") -> str:
        size = self.u32(f"the length of a {what}")
        start = self.skip(size, what)
        try:
            return str(self.data[start : self.pos], "utf-8")
        except UnicodeDecodeError:
            raise self.error(f"{what} is not valid UTF-8", start) from None

    def count(self, what: str) -> int:
        """A vector's length: an element takes at least a byte, so it cannot exceed what is left."""
        start = self.pos
        count = self.u32(f"the number of {what}")
        if count > self.left:
            raise self.error(f"{count} {what} announced, {self.left} bytes left", start)
        return count

    def vector(self, what: str, read: Callable[[Self], T]) -> tuple[T, ...]:
        """A vector; an element's failure is reported under ``path.what[index]``."""
        found: list[T] = []
        for index in range(self.count(what)):
            try:
                found.append(read(self))
            except DecodeError as fault:
                raise self.inside(f"{what}[{index}]", fault) from None
        return tuple(found)

    def u32s(self, what: str, element: str) -> tuple[int, ...]:
        """A vector of integers, of which there are many."""
        start = self.pos
        count = self.count(what)
        data, at, found = bytes(self.data[self.pos : self.end]), 0, list[int]()
        try:
            for _ in range(count):
                value = data[at]
                at += 1
                if value >= 0x80:
                    value += (data[at] - 1) << 7
                    if data[at] >= 0x80:
                        break
                    at += 1
                found.append(value)
        except IndexError:
            pass
        if len(found) == count:
            self.pos += at
            return tuple(found)
        self.pos = start  # longer ones, or a fault
        return self.vector(what, lambda cur: cur.u32(element))

    def finish(self, what: str) -> None:
        if self.pos != self.end:
            raise self.error(f"{what} has {self.left} bytes too many")

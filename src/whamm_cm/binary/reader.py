"""A bounds-checked cursor over input bytes that also cuts them into tokens."""

from __future__ import annotations

from whamm_cm.errors import DecodeError
from whamm_cm.ir.items import Item, Ref, Sort, Token

#: Nesting allowed for components and for types inside types; real components use under ten.
MAX_DEPTH = 100


class Scope:
    """The index spaces of one component, component type, instance type or module type."""

    __slots__ = ("is_component", "outer", "spaces")

    def __init__(self, is_component: bool, outer: Scope | None) -> None:
        self.is_component, self.outer = is_component, outer
        self.spaces: list[list[Item]] = [[] for _ in Sort]

    def new(self, sort: Sort) -> Item:
        item = Item(sort)
        self.spaces[sort].append(item)
        return item

    def depth(self) -> int:
        count, scope = 1, self.outer
        while scope is not None:
            count, scope = count + 1, scope.outer
        return count


class Reader:
    """Reads ``data[pos:end]``; every failure is a :class:`DecodeError` with an absolute offset.

    While a definition is read, references to items of *components* are cut out of the byte stream
    as :class:`Ref` tokens; references inside a type's own scope stay bytes, for nothing is ever
    inserted there.
    """

    __slots__ = ("data", "end", "mark", "path", "pos", "shared_flags", "tokens", "width")

    def __init__(self, data: bytes, pos: int, end: int, path: str = "") -> None:
        self.data, self.pos, self.end, self.path = data, pos, end, path
        self.tokens: list[Token] = []
        self.mark = pos
        self.width = 1
        self.shared_flags = False

    def error(self, message: str, at: int | None = None) -> DecodeError:
        return DecodeError(message, self.pos if at is None else at, self.path)

    @property
    def left(self) -> int:
        return self.end - self.pos

    def u8(self, what: str = "byte") -> int:
        if self.pos >= self.end:
            raise self.error(f"unexpected end of input, expected {what}")
        self.pos += 1
        return self.data[self.pos - 1]

    def peek(self) -> int:
        if self.pos >= self.end:
            raise self.error("unexpected end of input")
        return self.data[self.pos]

    def u32(self, what: str = "u32") -> int:
        start, result, shift = self.pos, 0, 0
        while True:
            byte = self.u8(what)
            if shift == 28 and byte > 0x0F:
                raise self.error(f"{what} is not a 32-bit LEB128 integer", start)
            result |= (byte & 0x7F) << shift
            if byte < 0x80:
                self.width = self.pos - start
                return result
            shift += 7

    def u64(self, what: str = "u64") -> int:
        start, result, shift = self.pos, 0, 0
        while True:
            byte = self.u8(what)
            if shift == 63 and byte > 0x01:
                raise self.error(f"{what} is not a 64-bit LEB128 integer", start)
            result |= (byte & 0x7F) << shift
            if byte < 0x80:
                return result
            shift += 7

    def s33(self) -> int:
        start, result, shift = self.pos, 0, 0
        while True:
            byte = self.u8("type")
            if shift == 28 and byte & 0xF0 not in (0x00, 0x70):
                raise self.error("type is not a 33-bit LEB128 integer", start)
            result |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                self.width = self.pos - start
                return result - (1 << shift) if byte & 0x40 else result

    def take(self, size: int, what: str) -> bytes:
        if size > self.left:
            raise self.error(f"{what} of {size} bytes runs past the end ({self.left} bytes left)")
        self.pos += size
        return self.data[self.pos - size : self.pos]

    def name(self, what: str = "name") -> str:
        size = self.u32(f"length of {what}")
        start = self.pos
        raw = self.take(size, what)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise self.error(f"{what} is not valid UTF-8", start) from None

    def count(self, what: str) -> int:
        """A vector's length; each element takes at least one byte, so it cannot exceed what is left."""
        start = self.pos
        count = self.u32(f"number of {what}")
        if count > self.left:
            raise self.error(f"{count} {what} announced, but only {self.left} bytes are left", start)
        return count

    def begin(self) -> None:
        """Start collecting tokens for a new definition."""
        self.tokens, self.mark = [], self.pos

    def cut(self, upto: int | None = None) -> int:
        """Close the current run of bytes at ``upto``; returns how many tokens there are."""
        upto = self.pos if upto is None else upto
        if upto > self.mark:
            self.tokens.append(self.data[self.mark : upto])
        self.mark = self.pos
        return len(self.tokens)

    def finish(self) -> tuple[Token, ...]:
        self.cut()
        return tuple(self.tokens)

    def lookup(self, scope: Scope, sort: Sort, index: int, at: int) -> Item:
        space = scope.spaces[sort]
        if index >= len(space):
            raise self.error(
                f"{sort.label} index {index} is out of bounds (there are {len(space)})", at
            )
        return space[index]

    def ref(self, scope: Scope, sort: Sort) -> Item:
        """Read an index into ``scope`` and return the item."""
        start = self.pos
        item = self.lookup(scope, sort, self.u32(f"{sort.label} index"), start)
        self.note(scope, item, start)
        return item

    def note(self, scope: Scope, item: Item, start: int, signed: bool = False) -> None:
        """Cut the index read since ``start`` out as a reference, if it leads to a component."""
        if scope.is_component:
            width = self.pos - start
            self.cut(start)
            self.tokens.append(Ref(item, width, signed))

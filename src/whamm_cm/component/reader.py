"""A cursor over a component's bytes that knows index spaces and cuts definitions into tokens."""

from __future__ import annotations

from whamm_cm.component.items import Item, Ref, Sort, Token
from whamm_cm.wasm.cursor import Cursor

#: Nesting allowed for components and for types inside types; real components use under ten.
MAX_DEPTH = 100


class Scope:
    """The index spaces of one component, component type, instance type or module type."""

    __slots__ = ("depth", "is_component", "outer", "spaces")

    def __init__(self, is_component: bool, outer: Scope | None) -> None:
        self.is_component, self.outer = is_component, outer
        self.depth: int = outer.depth + 1 if outer else 1
        self.spaces: list[list[Item]] = [[] for _ in Sort]

    def new(self, sort: Sort) -> Item:
        item = Item(sort)
        self.spaces[sort].append(item)
        return item


class Reader(Cursor):
    """A :class:`Cursor` over the outermost input itself, so that positions are offsets.

    While a definition is read, references to items of *components* are cut out of the byte stream
    as :class:`Ref` tokens; references inside a type's own scope stay bytes, for nothing is ever
    inserted there.
    """

    __slots__ = ("forked", "mark", "tokens", "toolchain")
    data: bytes

    def __init__(self, data: bytes, pos: int, end: int, offset: int = 0, path: str = "") -> None:
        super().__init__(data, pos, end, offset, path)
        self.tokens: list[Token] = []
        self.mark = pos
        self.toolchain = False
        self.forked = False

    def as_toolchains_do(self) -> bool:
        """Whether to read the next production as toolchains write it and not as Binary.md has it.

        Asked only where these differ; ``forked`` tells afterwards that it was.
        """
        self.forked = True
        return self.toolchain

    def take(self, size: int, what: str) -> bytes:
        start = self.skip(size, what)
        return self.data[start : self.pos]

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

    def collected(self) -> tuple[Token, ...]:
        """The tokens of everything read since :meth:`begin`."""
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
        item = self.lookup(scope, sort, self.u32(f"a {sort.label} index"), start)
        self.note(scope, item, start)
        return item

    def note(self, scope: Scope, item: Item, start: int, signed: bool = False) -> None:
        """Cut the index read since ``start`` out as a reference, if it leads to a component."""
        if scope.is_component:
            width = self.pos - start
            self.cut(start)
            self.tokens.append(Ref(item, width, signed))

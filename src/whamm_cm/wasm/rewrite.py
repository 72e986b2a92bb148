"""Writing code anew: other indices, code put in between, parts left out; the kernel does the work.

A function's new code is a list of words (:class:`Draft`): the input goes on to a place, a template
comes in, the input goes on elsewhere.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import NamedTuple, TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.kernel import layout
from whamm_cm.kernel.layout import Do, Part
from whamm_cm.wasm.code import SPACES, Loaded
from whamm_cm.wasm.cursor import Buffer
from whamm_cm.wasm.leb import signed, unsigned
from whamm_cm.wasm.module import Bodies, Body
from whamm_cm.wasm.opcodes import Imm

#: Instructions of the input (start and end in its bytes), or new ones with final indices.
Piece: TypeAlias = tuple[int, int] | bytes


class Hole(NamedTuple):
    """A number that each use of a template fills in: ``kind`` is its encoding, ``word`` where it is
    among the arguments, which are 32-bit words (the low one first of 64-bit numbers)."""

    kind: Part
    word: int


_WIDTHS = {part: 2 if part in (Part.I64, Part.F64) else 1 for part in Part}
_FILL: dict[Part, Callable[[Sequence[int]], bytes]] = {
    Part.U32: lambda words: unsigned(words[0]),
    Part.I32: lambda words: signed(_signed(words[0], 32)),
    # Told from the first spot on, which does not matter to who asks what code is where.
    Part.SPOT_U32: lambda words: unsigned(words[0]),
    Part.SPOT_I32: lambda words: signed(words[0]),
    Part.I64: lambda words: signed(_signed(words[0] | words[1] << 32, 64)),
    Part.F32: lambda words: words[0].to_bytes(4, "little"),
    Part.F64: lambda words: (words[0] | words[1] << 32).to_bytes(8, "little"),
}


def _signed(value: int, bits: int) -> int:
    return value - (value >> bits - 1 << bits)


@dataclass(frozen=True, slots=True)
class Template:
    """Code with holes; ``words``: how many arguments it takes."""

    parts: tuple[bytes | Hole, ...]
    words: int

    @classmethod
    def of(cls, parts: Iterable[bytes | Hole], words: int = 0) -> Template:
        """``words``: at least as many."""
        parts = tuple(parts)
        ends = (part.word + _WIDTHS[part.kind] for part in parts if isinstance(part, Hole))
        return cls(parts, max((words, *ends)))

    def fill(self, arguments: Sequence[int]) -> bytes:
        return b"".join(
            part if isinstance(part, bytes) else _FILL[part.kind](arguments[part.word :][:2])
            for part in self.parts
        )

    def encoded(self) -> list[int]:
        found: list[int] = []
        for part in self.parts:
            if isinstance(part, Hole):
                found += (part.kind, part.word)
            elif part:
                padded = part + bytes(-len(part) % 4)
                found += (Part.BYTES, len(part), *memoryview(padded).cast("I"))
        return [*found, Part.END]


@dataclass(slots=True)
class Templates:
    """Templates by number; equal ones have one."""

    found: dict[tuple[bytes | Hole | int, ...], int] = field(default_factory=dict)
    made: list[Template] = field(default_factory=list)

    def number(self, *parts: bytes | Hole, words: int = 0) -> int:
        """``words``: how many arguments it takes, if not only those its holes ask for."""
        number = self.found.setdefault((*parts, words), len(self.made))
        if number == len(self.made):
            self.made.append(Template.of(parts, words))
        return number


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """New code of a function: words of ``layout.Do`` and what belongs to each, up to END.

    ``locals``: other declarations of locals.
    """

    words: Sequence[int]
    locals: bytes | None = None

    def pieces(self, body: Body, templates: Templates) -> list[Piece]:
        """The same as slices of the input and code."""
        found: list[Piece] = []
        words, at, position = self.words, 0, body.code
        while at < len(words) and words[at] != Do.END:
            what, place = words[at], words[at + 1]
            at += 2
            if what == Do.GO:
                position = place
                continue
            if position < place:
                found.append((position, place))
                position = place
            if what == Do.INSERT:
                template = templates.made[words[at]]
                found.append(template.fill(words[at + 1 : at + 1 + template.words]))
                at += 1 + template.words
        return found


def draft_words(body: Body, pieces: Iterable[Piece], templates: Templates) -> list[int]:
    """Pieces as words."""
    words, position = list[int](), body.code
    for piece in pieces:
        if isinstance(piece, bytes):
            words += (Do.INSERT, position, templates.number(piece))
            continue
        start, end = piece
        if start != position:
            words += (Do.GO, start)
        words += (Do.STOP, end)
        position = end
    return words


@dataclass(frozen=True, slots=True, eq=False)
class Replaced(Mapping[int, Sequence[Piece]]):
    """The drafts of some of ``bodies`` as pieces."""

    bodies: Bodies
    drafts: Mapping[int, Draft]
    templates: Templates

    def __getitem__(self, index: int) -> Sequence[Piece]:
        return self.drafts[index].pieces(self.bodies[index], self.templates)

    def __iter__(self) -> Iterator[int]:
        return iter(self.drafts)

    def __len__(self) -> int:
        return len(self.drafts)


@dataclass(frozen=True, slots=True)
class Shift:
    """Indices from ``first`` on move up by ``by``."""

    first: int
    by: int

    def __call__(self, index: int) -> int:
        return index + self.by if index >= self.first else index

    @property
    def identity(self) -> bool:
        return not self.by


@dataclass(frozen=True, slots=True)
class Moved:
    """``to[index]`` is the new index; others are out of bounds (``IndexError``)."""

    to: Sequence[int]

    def __call__(self, index: int) -> int:
        return self.to[index]

    @property
    def identity(self) -> bool:
        return all(old == new for old, new in enumerate(self.to))


#: New indices by the kind of immediates that are indices into the space.
Maps: TypeAlias = Mapping[Imm, Shift | Moved]


def put_maps(loaded: Loaded, maps: Maps) -> int:
    table = [layout.MAP_NONE] * (3 * (1 + len(SPACES)))
    for kind, to in maps.items():
        place = 3 * SPACES[kind]
        if isinstance(to, Shift):
            table[place : place + 3] = layout.MAP_SHIFT, to.first, to.by & 0xFFFFFFFF
        else:
            address = loaded.kernel.put_words(list(to.to))
            table[place : place + 3] = layout.MAP_TABLE, address, len(to.to)
    return loaded.kernel.put_words(table)


def renumbered(
    data: Buffer, start: int, end: int, maps: Maps, *, offset: int = 0, path: str = ""
) -> bytes | None:
    """The code ``data[start:end]`` with new indices; None when nothing changes.

    DecodeError where it is malformed, and for an index that a map does not have.
    """
    loaded = Loaded.of(data, start, end)
    inside = loaded.kernel
    done = inside.run("renumber", put_maps(loaded, maps), loaded.at, loaded.at + end - start)
    if not done:
        raise inside.error(offset - loaded.moved, path)
    at, size, changed = inside.struct("output", 3)
    return inside.get(at, size) if changed else None


@dataclass(frozen=True, slots=True)
class Written:
    """Entries of a code section one after the other, in ``pieces``; ``changed``: how many differ
    from the input's.  ``places``: where each begins, and where the last one ends.  ``endings``: how
    many last words were put in."""

    pieces: Sequence[bytes]
    changed: int
    places: Sequence[int]
    endings: int


def put_templates(loaded: Loaded, templates: Templates) -> int:
    """The address of the templates: of each, where its parts are and how many words it takes."""
    parts, starts = array("I"), list[int]()
    for template in templates.made:
        starts.append(len(parts))
        parts.extend(template.encoded())
    base = loaded.kernel.put_words(parts)
    pairs = zip(starts, templates.made, strict=True)
    return loaded.kernel.put_words([n for at, made in pairs for n in (base + 4 * at, made.words)])

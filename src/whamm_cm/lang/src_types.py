"""Variables of the source, as scripts see them: their types, and where they are at a place.

Types are read when they are asked for: they may be endless.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Any, NamedTuple, Protocol, TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.lang.source import ScriptError

# --- types ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Base:
    """A number.  ``encoding``: ``signed``, ``unsigned``, ``float``, ``bool``, ``signed char`` or
    ``unsigned char`` (any number of bytes: characters of Rust have four); ``size`` in bytes."""

    name: str
    encoding: str
    size: int


@dataclass(frozen=True, slots=True)
class Pointer:
    """Or a reference; ``name`` may be empty."""

    name: str
    size: int
    number: int  # which one of the module's types
    read: Callable[[], SourceType] = field(compare=False)

    @property
    def target(self) -> SourceType:
        return self.read()


class Member(NamedTuple):
    """``offset`` in bytes; a bit field: ``bits`` from bit ``first`` (0 to 7) there, else 0."""

    name: str
    type: SourceType
    offset: int
    bits: int = 0
    first: int = 0


class Case(NamedTuple):
    """What a struct is when its tag has one of ``values`` (none: any other value)."""

    member: Member
    values: tuple[int, ...]


class StructReader(Protocol):
    """Reads what is in a struct when it is asked for."""

    def members(self) -> tuple[Member, ...]: ...
    def cases(self) -> tuple[Member | None, tuple[Case, ...]]: ...
    def parameter(self) -> SourceType | None: ...


@dataclass(frozen=True, slots=True)
class Struct:
    """``kind``: struct, class or union; parents are members without a name."""

    name: str
    kind: str
    size: int
    number: int  # which one of the module's types
    read: StructReader = field(compare=False)

    @property
    def members(self) -> tuple[Member, ...]:
        return self.read.members()

    @property
    def cases(self) -> tuple[Member | None, tuple[Case, ...]]:
        """The tag, and what there is by it: an enum of Rust.  No cases: it is none."""
        return self.read.cases()

    @property
    def parameter(self) -> SourceType | None:
        """The first type that it was made for, as ``T`` of ``Vec<T>``."""
        return self.read.parameter()


@dataclass(frozen=True, slots=True)
class Array:
    """``count`` None: nobody knows."""

    element: SourceType
    count: int | None

    @property
    def name(self) -> str:
        return f"{self.element.name}[{'' if self.count is None else self.count}]"

    @property
    def size(self) -> int:
        return self.element.size * (self.count or 0)


@dataclass(frozen=True, slots=True)
class Enum:
    """``labels``: names and values, in order."""

    name: str
    size: int
    signed: bool
    labels: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Opaque:
    """What has no value: void, functions, declarations, and what is malformed."""

    name: str
    size: int = 0


SourceType: TypeAlias = Base | Pointer | Struct | Array | Enum | Opaque


def written(type_: SourceType, deep: int = 8) -> str:
    """A type in a few words: pointers of C have no name of their own, and may be endless."""
    if isinstance(type_, Pointer) and not type_.name:
        to = written(type_.target, deep - 1) if deep else "void"
        return f"{to}*" if to.endswith("*") else f"{to} *"
    if isinstance(type_, Array) and deep:
        count = "" if type_.count is None else type_.count
        return f"{written(type_.element, deep - 1)}[{count}]"
    return type_.name or getattr(type_, "kind", type(type_).__name__.lower())


# --- places --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Term:
    """A number when code runs.  ``op`` and ``args``:

    ``const`` (int), ``local`` and ``global`` (index), ``load`` (address, bytes), ``convert``
    (term, encoding as of :class:`Base`, bytes), ``neg`` and ``not`` (term), and of two terms
    ``+ - * & | ^ << >> >>s``, and ``== != < <= > >=`` of what has a sign.
    """

    op: str
    args: tuple[Any, ...]

    @property
    def terms(self) -> int:
        return 1 + sum(arg.terms for arg in self.args if isinstance(arg, Term))


@dataclass(frozen=True, slots=True)
class InMemory:
    address: Term


@dataclass(frozen=True, slots=True)
class Held:
    """Nowhere in memory: the value itself."""

    value: Term


@dataclass(frozen=True, slots=True)
class Bits:
    """A constant as bytes."""

    value: bytes


@dataclass(frozen=True, slots=True)
class Gone:
    """Not there, and why: ``optimised out`` and the like."""

    why: str


@dataclass(frozen=True, slots=True)
class Pieces:
    """Parts of so many bytes, in order."""

    parts: tuple[tuple[InMemory | Held | Bits | Gone, int], ...]


Where: TypeAlias = InMemory | Held | Bits | Gone | Pieces


@dataclass(frozen=True, slots=True)
class SourceVariable:
    """``where`` it is at the place that was asked for; ``parameter``: of the function."""

    name: str
    type: SourceType
    where: Where
    parameter: bool = False


# --- in probes -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class SourceUse:
    """Variables that a probe reads, by name.  ``check`` checks a ``tree.Probe`` where they are
    known (``src_places.Surroundings``), for each type its operands may have, and raises NotThere
    where one is not; ``error`` makes what is to be said of a name, with a hint."""

    names: tuple[str, ...]
    check: Callable[[Any, Any], list[Any]]
    error: Callable[[str, str, str], ScriptError]

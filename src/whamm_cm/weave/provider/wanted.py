"""What an application imports, in the order in which a provider numbers it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import RunError
from whamm_cm.wit.model import Entity, Extern, FuncItem, InstanceItem, TypeItem, World, functions
from whamm_cm.wit.types import Borrow, FuncT, FutureT, Own, Resource, StreamT, ValType, children


@dataclass(frozen=True, slots=True)
class Part:
    """A function or type; ``label`` "" where the import is that itself."""

    extern: Extern
    label: str
    what: FuncT | Resource | ValType

    @property
    def name(self) -> str:
        name = self.extern.name.name
        return f"{name}#{self.label}" if self.label else name


@dataclass(frozen=True, slots=True)
class Wanted:
    externs: tuple[Extern, ...]
    parts: tuple[Part, ...]
    functions: dict[str, FuncT]
    #: Of each kind of resource its number.
    kinds: dict[Resource, int]
    #: Of each kind of stream and future: those of resources come first.
    ends: dict[StreamT | FutureT, int]
    #: Whether anything in the world is asynchronous: then all that plays has to be.
    is_async: bool

    @classmethod
    def of(cls, world: World) -> Wanted:
        """Raises RunError for imports that no recording answers."""
        parts = tuple(part for extern in world.imports for part in _parts(extern))
        funcs = {part.name: part.what for part in parts if isinstance(part.what, FuncT)}
        ends = [t for t in spoken(parts) if isinstance(t, StreamT | FutureT)]
        resources = dict.fromkeys(part.what for part in parts if isinstance(part.what, Resource))
        return cls(
            world.imports, parts, funcs,
            {resource: number for number, resource in enumerate(resources)},
            {end: number + len(resources) for number, end in enumerate(ends)},
            bool(ends) or any(t.is_async for t in (*funcs.values(), *_exported(world))),
        )  # fmt: skip

    def number(self, part: Part) -> str:
        """What the provider calls a function."""
        return f"f{[*self.functions].index(part.name)}"


def used(parts: Iterable[Part]) -> set[Resource]:
    """The resources that they speak of."""
    listed = tuple(parts)
    found = {part.what for part in listed if isinstance(part.what, Resource)}
    return found | {t.resource for t in spoken(listed) if isinstance(t, Own | Borrow)}


def spoken(parts: Iterable[Part]) -> dict[ValType, None]:
    """All types of values in them, in some order that is always the same."""
    found: dict[ValType, None] = {}
    stack: list[ValType] = []
    for part in parts:
        if isinstance(part.what, FuncT):
            stack += values(part.what)
        elif not isinstance(part.what, Resource):
            stack.append(part.what)
    while stack:
        t = stack.pop()
        if t not in found:
            found[t] = None
            stack += children(t)
    return found


def values(t: FuncT) -> list[ValType]:
    return [*(of for _, of in t.params), *(() if t.result is None else (t.result,))]


def _exported(world: World) -> Iterator[FuncT]:
    for extern in world.exports:
        yield from (item.type for item in functions(extern.entity))


def _parts(extern: Extern) -> Iterator[Part]:
    entity = extern.entity
    if isinstance(entity, InstanceItem):
        for label, item in entity.exports.items():
            yield Part(extern, label, _what(extern, item))
    else:
        yield Part(extern, "", _what(extern, entity))


def _what(extern: Extern, entity: Entity) -> FuncT | Resource | ValType:
    if isinstance(entity, FuncItem):
        return entity.type
    if isinstance(entity, TypeItem) and isinstance(entity.type, FuncT | Resource | ValType):
        return entity.type
    raise RunError(
        f"the component imports {extern.name.name}, which has more than functions and types of"
        " values: no recording answers that"
    )

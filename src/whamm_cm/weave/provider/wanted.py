"""What an application imports, in the order in which a provider numbers it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import RunError
from whamm_cm.wit.model import Entity, Extern, FuncItem, InstanceItem, TypeItem, World
from whamm_cm.wit.types import Borrow, FuncT, Own, Resource, ValType, children


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

    @classmethod
    def of(cls, world: World) -> Wanted:
        """Raises RunError for imports that no recording answers."""
        parts = tuple(part for extern in world.imports for part in _parts(extern))
        functions = {part.name: part.what for part in parts if isinstance(part.what, FuncT)}
        resources = dict.fromkeys(part.what for part in parts if isinstance(part.what, Resource))
        return cls(
            world.imports, parts, functions,
            {resource: number for number, resource in enumerate(resources)},
        )  # fmt: skip

    def number(self, part: Part) -> str:
        """What the provider calls a function."""
        return f"f{[*self.functions].index(part.name)}"


def used(parts: Iterable[Part]) -> set[Resource]:
    """The resources that they speak of."""
    found, seen = set[Resource](), set[ValType]()
    stack: list[ValType] = []
    for part in parts:
        if isinstance(part.what, Resource):
            found.add(part.what)
        elif isinstance(part.what, FuncT):
            stack += values(part.what)
        else:
            stack.append(part.what)
    while stack:
        t = stack.pop()
        if t not in seen:
            seen.add(t)
            if isinstance(t, Own | Borrow):
                found.add(t.resource)
            stack += children(t)
    return found


def values(t: FuncT) -> list[ValType]:
    return [*(of for _, of in t.params), *(() if t.result is None else (t.result,))]


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

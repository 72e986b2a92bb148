"""Resolved entities: what the items of a component are, with every alias and index followed.

Entities are immutable but for the names of resources, which become known as exports name them.
Explainer.md, "Import and Export Definitions".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import TypeAlias

from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component
from whamm_cm.component.items import Item
from whamm_cm.dataclass import dataclass
from whamm_cm.wit.names import InterfaceName, func_label
from whamm_cm.wit.types import FuncT, Resource, ValType


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a function (or instance) comes from, seen from the component that has it.

    ``import``: an import of ``component``; ``names`` leads there (``("wasi:io/poll@0.2.0",
    "[method]pollable.block")``). ``lift``: the canonical lift in ``component`` that defines
    ``item``. ``instance``: made in ``component`` by instantiating something, as ``item``.
    """

    kind: str
    component: Component
    names: tuple[str, ...] = ()
    item: Item | None = None

    def inner(self, name: str) -> Origin:
        """The origin of export ``name`` of an instance of this origin."""
        return Origin(self.kind, self.component, (*self.names, name), self.item)


@dataclass(frozen=True, slots=True)
class ScopedType:
    """An instance or component type, elaborated afresh for each use (its resources are new)."""

    node: n.InstanceTypeDef | n.ComponentTypeDef
    scope: Scope


#: What a type item can be.
AnyType: TypeAlias = ValType | Resource | FuncT | ScopedType


@dataclass(frozen=True, slots=True, eq=False)
class FuncItem:
    """``name`` as last imported or exported ("" for a lift nobody named yet); ``interface`` the
    extern name of the instance it belongs to, "" for none."""

    name: str
    type: FuncT
    interface: str = ""
    origin: Origin | None = None
    external_id: str | None = None

    @property
    def label(self) -> str:
        """``resource.method`` and the like, see :func:`whamm_cm.wit.names.func_label`."""
        return func_label(self.name)


@dataclass(frozen=True, slots=True, eq=False)
class TypeItem:
    """``owner``: the interface that exports it, if one does. ``source``: (interface, name) of the
    type it was said to be equal to."""

    name: str
    type: AnyType
    external_id: str | None = None
    owner: str | None = None
    source: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class InstanceItem:
    """``name`` is the extern name it was last imported or exported under, "" if none was.
    ``component``: the definition it is an instance of, where that is known."""

    name: str
    exports: Mapping[str, Entity]
    origin: Origin | None = None
    component: Component | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ComponentItem:
    """A nested component (``definition`` set) or an imported one (known by its type only)."""

    name: str
    world: World
    definition: Component | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ModuleItem:
    """A core module: a definition, or an import known by its type only."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class ValueItem:
    name: str
    type: ValType | None


@dataclass(frozen=True, slots=True, eq=False)
class OpaqueItem:
    """Something that has no meaning at the component level, such as a core type."""

    what: str


Entity: TypeAlias = (
    FuncItem | TypeItem | InstanceItem | ComponentItem | ModuleItem | ValueItem | OpaqueItem
)


@dataclass(slots=True, eq=False)
class Scope:
    """Items of one component (all components share one scope) or of one use of a type."""

    entities: dict[Item, Entity] = field(default_factory=dict)
    parent: Scope | None = None

    def find(self, item: Item) -> Entity | None:
        scope: Scope | None = self
        while scope is not None:
            if item in scope.entities:
                return scope.entities[item]
            scope = scope.parent
        return None


@dataclass(frozen=True, slots=True)
class Extern:
    """One import or export of a component."""

    name: n.ExternName
    entity: Entity


@dataclass(frozen=True, slots=True)
class World:
    """What a component imports and exports, in order."""

    imports: tuple[Extern, ...] = ()
    exports: tuple[Extern, ...] = ()

    def imported(self, name: str) -> Entity | None:
        return next((e.entity for e in self.imports if e.name.name == name), None)

    def exported(self, name: str) -> Entity | None:
        return next((e.entity for e in self.exports if e.name.name == name), None)


@dataclass(frozen=True, slots=True)
class Interface:
    """An imported or exported instance as WIT sees it.

    ``name`` is the path without version (``wasi:io/streams``) or the plain name; ``implements`` is
    set where a plain-named instance says which interface it implements. Functions are keyed by
    extern name; ``types`` holds all types but resources. ``others``: exports WIT has no words for.
    """

    name: str
    version: str | None
    types: Mapping[str, AnyType]
    funcs: Mapping[str, FuncItem]
    resources: Mapping[str, Resource]
    others: tuple[str, ...] = ()
    implements: str | None = None


def split_version(name: str) -> tuple[str, str | None]:
    """``wasi:io/streams@0.2.0`` → (``wasi:io/streams``, ``0.2.0``); plain names have no version."""
    parsed = InterfaceName.try_parse(name)
    return (name, None) if parsed is None else (parsed.path, parsed.version)


def full_name(name: n.ExternName) -> str:
    """The name with the ``versionsuffix`` attribute put back where it was cut off."""
    return name.name + (name.attribute("versionsuffix") or "")


def interface_id(name: n.ExternName) -> str:
    """The interface an instance of this extern name stands for: what ``implements`` says, else
    the name itself."""
    return name.attribute("implements") or full_name(name)


def interface_of(extern: Extern) -> Interface | None:
    """The interface view of an imported or exported instance, None for anything else."""
    if not isinstance(extern.entity, InstanceItem):
        return None
    name, version = split_version(full_name(extern.name))
    types: dict[str, AnyType] = {}
    funcs: dict[str, FuncItem] = {}
    resources: dict[str, Resource] = {}
    others: list[str] = []
    for key, entity in extern.entity.exports.items():
        if isinstance(entity, FuncItem):
            funcs[key] = entity
        elif isinstance(entity, TypeItem) and isinstance(entity.type, Resource):
            resources[key] = entity.type
        elif isinstance(entity, TypeItem):
            types[key] = entity.type
        else:
            others.append(key)
    implements = extern.name.attribute("implements")
    return Interface(name, version, types, funcs, resources, tuple(others), implements)


def interfaces(externs: tuple[Extern, ...]) -> Iterator[Interface]:
    """The interfaces among imports or exports."""
    for extern in externs:
        found = interface_of(extern)
        if found is not None:
            yield found


def functions(entity: Entity) -> Iterator[FuncItem]:
    """Every function in ``entity``, through nested instances, each of which is visited once."""
    stack = [entity]
    seen: set[int] = set()
    while stack:
        current = stack.pop()
        if isinstance(current, FuncItem):
            yield current
        elif isinstance(current, InstanceItem) and id(current) not in seen:
            seen.add(id(current))
            stack.extend(reversed(list(current.exports.values())))

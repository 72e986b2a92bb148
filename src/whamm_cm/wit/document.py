"""A world as WIT wants it: interfaces by name, each type defined once and used elsewhere.

Components know instances, WIT knows interfaces: an interface that is imported and exported, or
implemented several times, is written once, with everything any of the instances has.
"""

from __future__ import annotations

from dataclasses import field

from whamm_cm.dataclass import dataclass
from whamm_cm.wit import types as t
from whamm_cm.wit.model import (
    AnyType,
    Entity,
    Extern,
    FuncItem,
    InstanceItem,
    TypeItem,
    World,
    full_name,
    interface_id,
)
from whamm_cm.wit.names import InterfaceName


@dataclass(slots=True)
class Declared:
    """A type of a block: ``source`` is (interface, name) where it is used from elsewhere,
    ``alias`` the other name in this block it was said to be equal to."""

    name: str
    type: AnyType
    external_id: str | None = None
    source: tuple[str, str] | None = None
    alias: str | None = None


@dataclass(slots=True, eq=False)
class Block:
    """The body of an interface or of the world (``key`` "").

    ``names``: what the types are called in this block, by id of the type or resource.
    """

    key: str
    types: dict[str, Declared] = field(default_factory=dict)
    funcs: dict[str, FuncItem] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)

    def free_name(self, wanted: str) -> str:
        """``wanted``, or with a number where it is taken by a type or function."""
        name, number = wanted, 1
        while name in self.types or name in self.funcs:
            number += 1
            name = f"{wanted}-{number}"
        return name


@dataclass(slots=True)
class WorldLine:
    """``import`` or ``export`` of an interface: ``name`` is None when it goes by its own name;
    or of the function ``func``, then ``block`` is the world."""

    keyword: str
    block: Block
    name: str | None
    external_id: str | None = None
    func: FuncItem | None = None


class Document:
    """Interfaces and lines of one world, ready to be printed."""

    def __init__(self, world: World) -> None:
        self.interfaces: dict[str, Block] = {}
        self.world = Block("")
        self.lines: list[WorldLine] = []
        self._definitions: dict[int, tuple[str, str]] = {}
        for keyword, externs in (("import", world.imports), ("export", world.exports)):
            for extern in externs:
                self._add(keyword, extern)

    def definition(self, found: AnyType) -> tuple[str, str] | None:
        """(interface, name) where a type or resource is defined, if a named interface does."""
        return self._definitions.get(id(found))

    def packages(self) -> dict[str, dict[str, Block]]:
        """Package with version → interface → block; packages come after those they use."""
        packages: dict[str, dict[str, Block]] = {}
        for key, block in self.interfaces.items():
            name = InterfaceName.parse(key)
            packages.setdefault(name.package_id, {})[name.interface] = block
        ordered: dict[str, dict[str, Block]] = {}
        visited: set[str] = set()
        stack = list(reversed(packages))
        while stack:
            package = stack[-1]
            if package in visited:
                ordered.setdefault(stack.pop(), packages[package])
                continue
            visited.add(package)
            used = [p for block in packages[package].values() for p in _used_packages(block)]
            stack.extend(p for p in reversed(used) if p not in visited)
        return ordered

    def _add(self, keyword: str, extern: Extern) -> None:
        entity = extern.entity
        if isinstance(entity, InstanceItem):
            self._add_instance(keyword, extern, entity)
            return
        name = extern.name.name
        if isinstance(entity, TypeItem):
            # WIT has no exported types: a world's types are there for imports and exports alike.
            self._add_type(self.world, name, entity)
        elif isinstance(entity, FuncItem):
            if keyword == "import":
                self.world.funcs[name] = entity
            self.lines.append(WorldLine(keyword, self.world, name, entity.external_id, entity))
        else:
            self.world.others.append(f"{keyword} {name}: {_kind(entity)}")

    def _add_instance(self, keyword: str, extern: Extern, entity: InstanceItem) -> None:
        key = interface_id(extern.name)
        external = extern.name.attribute("external-id")
        own_name: str | None = extern.name.name
        if InterfaceName.try_parse(key) is None:
            block = Block("")
        else:
            block = self.interfaces.setdefault(key, Block(key))
            if key == full_name(extern.name):
                own_name = None
        self.lines.append(WorldLine(keyword, block, own_name, external))
        for name, export in entity.exports.items():
            if isinstance(export, TypeItem):
                self._add_type(block, name, export)
            elif isinstance(export, FuncItem):
                block.funcs.setdefault(name, export)
            else:
                block.others.append(f"{name}: {_kind(export)}")

    def _add_type(self, block: Block, name: str, item: TypeItem) -> None:
        if name not in block.types:
            block.types[name] = self._declared(block, name, item)
        if isinstance(item.type, t.Prim):
            return  # all uses of a primitive share one object
        block.names.setdefault(id(item.type), name)
        if block.key:
            self._definitions.setdefault(id(item.type), (block.key, name))

    def _declared(self, block: Block, name: str, item: TypeItem) -> Declared:
        source, said, alias = self._source(item.type, block), item.source, None
        if said is not None and said[0] == block.key and said[1] in block.types:
            source, alias = None, said[1]
        elif isinstance(item.type, t.Resource) and id(item.type) in block.names:
            source, alias = None, block.names[id(item.type)]
        elif source is not None and said is not None:
            source = self._said(said, block) or source
        return Declared(name, item.type, item.external_id, source, alias)

    def _said(self, source: tuple[str, str], block: Block) -> tuple[str, str] | None:
        """``source`` as the component itself has it, which may be a ``use`` of a ``use``."""
        said = self.interfaces.get(source[0])
        return source if said not in (None, block) and source[1] in said.types else None

    def _source(self, found: AnyType, block: Block) -> tuple[str, str] | None:
        """Where a type that this block only renames comes from."""
        while True:
            known = self._definitions.get(id(found))
            if known is not None and known[0] != block.key:
                return known
            if not isinstance(found, t.Named) or id(found.target) in block.names:
                return None
            found = found.target


def _used_packages(block: Block) -> list[str]:
    sources = (declared.source for declared in block.types.values())
    return [InterfaceName.parse(source[0]).package_id for source in sources if source is not None]


def _kind(entity: Entity) -> str:
    return type(entity).__name__.removesuffix("Item").lower()

"""IR → entities: what every item of a component, and of the components in it, is.

``resolve(component)`` walks every component definition once, in order. Nothing recurses on the
nesting of the input, and the limits of :mod:`whamm_cm.wit.build` bound the work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field

from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component, Definition
from whamm_cm.component.items import Item, Sort
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import DecodeError
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wit import types as t
from whamm_cm.wit.build import Builder
from whamm_cm.wit.canons import CanonInfo, Canons
from whamm_cm.wit.elaborate import Elaborator
from whamm_cm.wit.linking import Linker
from whamm_cm.wit.model import (
    ComponentItem,
    Entity,
    Extern,
    FuncItem,
    InstanceItem,
    ModuleItem,
    OpaqueItem,
    Origin,
    Scope,
    TypeItem,
    ValueItem,
    World,
)
from whamm_cm.wit.provenance import Provenance, provenance


@dataclass(frozen=True, slots=True)
class ResolvedComponent:
    """A component definition with its world. ``name``: from its own name section, else from the
    name section of the component around it, else None."""

    component: Component
    world: World
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Resolved:
    """The answer of :func:`resolve`. ``canons`` has every canonical definition, in order, keyed by
    the item it defines; ``components`` every component definition, the root first."""

    root: Component
    world: World
    entities: Mapping[Item, Entity]
    canons: Mapping[Item, CanonInfo]
    components: tuple[ResolvedComponent, ...]

    def func(self, item: Item) -> FuncItem:
        """KeyError for an item that is no component-level function of this component."""
        found = self.entities[item]
        if not isinstance(found, FuncItem):
            raise KeyError(item)
        return found

    def component(self, component: Component) -> ResolvedComponent:
        """KeyError for a component that is not part of this one."""
        for found in self.components:
            if found.component is component:
                return found
        raise KeyError(component)

    def provenance(self, component: Component, item: Item) -> Provenance:
        """Where ``item``, of ``component``, comes from within that component."""
        return provenance(component, item)


def resolve(root: Component) -> Resolved:
    """Resolve ``root`` and everything in it. Raises DecodeError, with the place, for references
    that make no sense or nest too deeply."""
    return _Resolver(root).run()


@dataclass(slots=True)
class _Frame:
    component: Component
    rest: Iterator[Definition]
    item: Item | None = None
    imports: list[Extern] = field(default_factory=list)
    exports: list[Extern] = field(default_factory=list)
    name: str | None = None
    #: Names the name section gives to nested components.
    names: dict[Item, str] = field(default_factory=dict)


class _Resolver:
    def __init__(self, root: Component) -> None:
        self.root = root
        self.component, self.offset = root, root.offset
        builder = Builder(self.error, root.size)
        self.types = Elaborator(builder)
        self.linker = Linker(builder)
        self.scope = Scope()
        self.canons = Canons(self.types, self.linker)
        self.done: dict[Component, ResolvedComponent] = {}

    def error(self, message: str) -> DecodeError:
        return DecodeError(message, self.offset, self.component.path)

    def run(self) -> Resolved:
        order: list[Component] = [self.root]
        stack = [_Frame(self.root, iter(self.root.definitions))]
        while stack:
            frame = stack[-1]
            self.component = frame.component
            nested = self._until_nested(frame)
            if nested is None:
                stack.pop()
                self._finish(frame, stack[-1] if stack else None)
            else:
                assert isinstance(nested.node, Component)
                order.append(nested.node)
                stack.append(_Frame(nested.node, iter(nested.node.definitions), nested.item))
        world = self.done[self.root].world
        canons = self.canons.describe(self.root, world)
        components = tuple(self.done[component] for component in order)
        return Resolved(self.root, world, self.scope.entities, canons, components)

    def _until_nested(self, frame: _Frame) -> Definition | None:
        """Resolve definitions up to a nested component, which is returned."""
        for definition in frame.rest:
            if isinstance(definition.node, Component):
                return definition
            self.offset = definition.offset
            self._define(frame, definition)
        return None

    def _finish(self, frame: _Frame, outer: _Frame | None) -> None:
        for export in frame.exports:
            self.linker.name_lifts(export.entity, frame.component)
        world = World(tuple(frame.imports), tuple(frame.exports))
        self.done[frame.component] = ResolvedComponent(frame.component, world, frame.name)
        for item, name in frame.names.items():
            found = self.scope.entities.get(item)
            if isinstance(found, ComponentItem) and found.definition in self.done:
                inner = self.done[found.definition]
                if inner.name is None:
                    named = ResolvedComponent(inner.component, inner.world, name)
                    self.done[inner.component] = named
        if frame.item is not None and outer is not None:
            self.scope.entities[frame.item] = ComponentItem("", world, frame.component)

    def _define(self, frame: _Frame, definition: Definition) -> None:
        node = definition.node
        entity: Entity
        match node:
            case n.Custom() | n.EmptySection():
                return
            case n.NameSection():
                frame.name = node.component
                rows = (row for row in node.rows if row[0] is Sort.COMPONENT)
                frame.names.update((item, name) for _, _, item, name in rows)
                return
            case n.Start():
                for item in definition.items:
                    self.scope.entities[item] = ValueItem("", None)
                return
            case CoreModule():
                entity = ModuleItem("")
            case n.CoreTypeDef() | n.CoreInstantiate() | n.CoreInlineExports():
                for item in definition.items:
                    self.scope.entities[item] = OpaqueItem(item.sort.label)
                return
            case n.Canon():
                entity = self._canon(frame, node, definition.item)
            case n.Import():
                entity = self._import(frame, node)
            case n.Export():
                entity = self._export(frame, node)
            case n.Instantiate() | n.InlineExports():
                entity = self._instance(frame, node, definition.item)
            case n.ValueDef():
                entity = ValueItem("", self.types.val(self.scope, node.type))
            case _:
                entity = self.types.local(self.scope, node)
                if isinstance(node, n.ResourceDef) and isinstance(entity, TypeItem):
                    self._own_resource(frame, entity, definition.item)
        self.scope.entities[definition.item] = entity

    def _own_resource(self, frame: _Frame, entity: TypeItem, item: Item) -> None:
        if isinstance(entity.type, t.Resource):
            origin = Origin("define", frame.component, (), item)
            self.linker.defined_resource(entity.type, origin)

    def _canon(self, frame: _Frame, node: n.Canon, item: Item) -> Entity:
        if node.op != "lift":
            self.canons.add(frame.component, self.offset, node, item, self.scope)
            return OpaqueItem(item.sort.label)
        if node.type is None:
            raise self.error("a lift without a type")
        func = self.types.func(self.scope, node.type)
        origin = Origin("lift", frame.component, (), item)
        self.canons.add(frame.component, self.offset, node, item, self.scope)
        return FuncItem("", func, "", origin)

    def _import(self, frame: _Frame, node: n.Import) -> Entity:
        origin = Origin("import", frame.component, (node.name.name,))
        entity = self.types.extern(self.scope, node.name, node.type, None, origin)
        self.linker.imported(entity, origin)
        frame.imports.append(Extern(node.name, entity))
        return entity

    def _export(self, frame: _Frame, node: n.Export) -> Entity:
        entity = self.types.find(self.scope, node.item)
        name = node.name.name
        if isinstance(entity, TypeItem):
            target = entity.type
            if node.type is not None and node.type.item is not None:
                target = self.types.any_type(self.scope, node.type.item)
            external = node.name.attribute("external-id")
            entity = TypeItem(name, self.types.named(name, None, target), external)
        else:
            if node.type is not None:
                origin = Origin("export", frame.component, (name,), node.item)
                ascribed = self.types.extern(self.scope, node.name, node.type, None, origin)
                entity = self.linker.ascribe(ascribed, entity, name)
            entity = self.linker.exported(entity, node.name)
        frame.exports.append(Extern(node.name, entity))
        return entity

    def _instance(
        self, frame: _Frame, node: n.Instantiate | n.InlineExports, item: Item
    ) -> InstanceItem:
        origin = Origin("instance", frame.component, (), item)
        if isinstance(node, n.InlineExports):
            found = ((name.name, self.types.find(self.scope, it)) for name, it in node.exports)
            return InstanceItem("", dict(found), origin)
        component = self.types.find(self.scope, node.component)
        args = [(name, self.types.find(self.scope, it)) for name, it in node.args]
        return self.linker.instantiate(component, args, origin)

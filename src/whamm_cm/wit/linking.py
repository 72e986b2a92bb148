"""Instantiation and export: how entities move between components, and which function is which.

Each component definition is resolved once, with its imports left abstract.  An instantiation
replaces, in what the component exports, the imports by the arguments; the first instantiation also
tells where the functions a component imports really come from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NoReturn

from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component
from whamm_cm.wit import types as t
from whamm_cm.wit.build import Builder
from whamm_cm.wit.model import (
    ComponentItem,
    Entity,
    FuncItem,
    InstanceItem,
    Origin,
    ScopedType,
    TypeItem,
    full_name,
    functions,
    interface_id,
)
from whamm_cm.wit.subst import Substitution


class Linker:
    """Applies instantiations and exports, and remembers what they connect."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self._instantiated: set[int] = set()
        self._links: dict[Origin, Origin] = {}
        self._lift_names: dict[Origin, tuple[str, str]] = {}
        self._argument_names: dict[Origin, tuple[str, str]] = {}
        # By id of the resource, which is kept so that its id stays its own.
        self._homes: dict[int, tuple[t.Resource, Origin]] = {}
        self._resource_links: dict[int, tuple[t.Resource, t.Resource]] = {}

    def fail(self, message: str) -> NoReturn:
        raise self.builder.fail(message)

    # What is known in the end

    def source(self, origin: Origin) -> Origin:
        """``origin`` followed through the arguments of first instantiations."""
        seen: set[Origin] = set()
        while origin in self._links and origin not in seen:
            seen.add(origin)
            origin = self._links[origin]
        return origin

    def lift_name(self, origin: Origin) -> tuple[str, str]:
        """(interface, name) a lift is exported under, or else passed on as; empty if neither."""
        return self._lift_names.get(origin) or self._argument_names.get(origin) or ("", "")

    def resource_home(self, resource: t.Resource) -> Origin | None:
        """Where a resource type was imported or defined, see :meth:`source`."""
        seen: set[int] = set()
        while id(resource) in self._resource_links and id(resource) not in seen:
            seen.add(id(resource))
            resource = self._resource_links[id(resource)][1]
        known = self._homes.get(id(resource))
        return known[1] if known else None

    # Imports and definitions

    def defined_resource(self, resource: t.Resource, origin: Origin) -> None:
        self._homes.setdefault(id(resource), (resource, origin))

    def imported(self, entity: Entity, origin: Origin, depth: int = 0) -> None:
        """Note the resources an import brings."""
        if isinstance(entity, TypeItem) and isinstance(entity.type, t.Resource):
            self.defined_resource(entity.type, origin)
        elif isinstance(entity, InstanceItem):
            depth = self.builder.enter(depth)
            for name, export in entity.exports.items():
                self.imported(export, origin.inner(name), depth)

    # Instantiation

    def instantiate(
        self, component: Entity, args: Iterable[tuple[str, Entity]], origin: Origin
    ) -> InstanceItem:
        if not isinstance(component, ComponentItem):
            self.fail("instantiates something that is no component")
        again = id(component.world) in self._instantiated
        self._instantiated.add(id(component.world))
        substitution = Substitution(self.builder, fresh=again)
        given = dict(args)
        for extern in component.world.imports:
            name = extern.name.name
            if name not in given:
                self.fail(f"the argument {name!r} is missing")
            self._bind(extern.entity, given[name], name, substitution, 0)
        if not again:
            self._remember(substitution)
        exports = {e.name.name: substitution.entity(e.entity) for e in component.world.exports}
        if again:
            for old, new in substitution.resources():
                home = self._homes.get(id(old))
                if home is not None:
                    self.defined_resource(new, home[1])
        return InstanceItem("", exports, origin, component.definition)

    def _remember(self, substitution: Substitution) -> None:
        for old, new in substitution.origins.items():
            self._links.setdefault(old, new)
        for old_resource, new_resource in substitution.resources():
            self._resource_links.setdefault(id(old_resource), (old_resource, new_resource))

    def _bind(
        self, wanted: Entity, given: Entity, name: str, into: Substitution, depth: int
    ) -> None:
        """Map what the import ``wanted`` introduced to the same things in ``given``."""
        self.builder.spend()
        if type(wanted) is not type(given):
            self.fail(f"the argument {name!r} is of the wrong kind")
        if isinstance(wanted, TypeItem) and isinstance(given, TypeItem):
            self._bind_type(wanted, given, into)
        elif isinstance(wanted, FuncItem) and isinstance(given, FuncItem):
            if wanted.origin is not None and given.origin is not None:
                into.origins[wanted.origin] = given.origin
                passed = (wanted.interface, wanted.name)
                self._argument_names.setdefault(given.origin, passed)
        elif isinstance(wanted, InstanceItem) and isinstance(given, InstanceItem):
            depth = self.builder.enter(depth)
            for key, entity in wanted.exports.items():
                if key not in given.exports:
                    self.fail(f"the argument {name!r} has no export {key!r}")
                self._bind(entity, given.exports[key], key, into, depth)

    def _bind_type(self, wanted: TypeItem, given: TypeItem, into: Substitution) -> None:
        old, new = wanted.type, given.type
        if isinstance(old, t.Resource) or isinstance(new, t.Resource):
            if isinstance(old, t.Resource) and isinstance(new, t.Resource):
                into.map_resource(old, new)
            else:
                self.fail(f"the type {wanted.name!r} is not the resource it should be")
        elif not isinstance(old, t.FuncT | ScopedType) and not isinstance(
            new, t.FuncT | ScopedType
        ):
            into.map_type(old, new)

    def ascribe(self, ascribed: Entity, actual: Entity, name: str) -> Entity:
        """``actual`` seen as ``ascribed``: the latter's types, the former's identities."""
        if isinstance(ascribed, FuncItem | InstanceItem):
            substitution = Substitution(self.builder)
            self._bind(ascribed, actual, name, substitution, 0)
            return substitution.entity(ascribed)
        return actual

    # Exports

    def exported(self, entity: Entity, name: n.ExternName) -> Entity:
        """``entity`` under the name it is exported with."""
        external = name.attribute("external-id")
        match entity:
            case FuncItem():
                return replace(entity, name=name.name, interface="", external_id=external)
            case InstanceItem():
                return self._owned_by(entity, name)
            case _:
                return entity

    def name_lifts(self, entity: Entity, component: Component) -> None:
        """Give the lifts of ``component`` that ``entity`` holds the names they have there."""
        for func in functions(entity):
            origin = func.origin
            if origin is not None and origin.kind == "lift" and origin.component is component:
                self._lift_names.setdefault(origin, (func.interface, func.name))

    def _owned_by(self, instance: InstanceItem, name: n.ExternName) -> InstanceItem:
        """``instance`` as the interface ``name``: what nobody owns yet belongs to it now."""
        owner = interface_id(name)
        substitution = Substitution(self.builder)
        for key, entity in instance.exports.items():
            if isinstance(entity, TypeItem):
                self._own(key, entity, owner, substitution)
        exports: dict[str, Entity] = {}
        for key, entity in instance.exports.items():
            changed = substitution.entity(entity)
            if isinstance(changed, FuncItem):
                changed = replace(changed, name=key, interface=owner)
            exports[key] = changed
        return replace(instance, name=full_name(name), exports=exports)

    def _own(self, key: str, item: TypeItem, owner: str, into: Substitution) -> None:
        match item.type:
            case t.Resource() as resource:
                home = self.resource_home(resource)
                if resource.owner is None and (home is None or home.kind != "import"):
                    resource.name, resource.owner = key, owner
            case t.Named(owner=None) | t.RecordT() | t.VariantT() | t.EnumT() | t.FlagsT() as old:
                into.give_owner(old, key, owner)

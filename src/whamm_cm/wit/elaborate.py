"""Type definitions and extern types → types and entities (Explainer.md, "Type Definitions").

An instance or component type is elaborated anew for each use: every ``(sub resource)`` in it is a
new resource there.
"""

from __future__ import annotations

from typing import NoReturn

from whamm_cm.component import nodes as n
from whamm_cm.component.items import Item
from whamm_cm.wit import types as t
from whamm_cm.wit.build import Builder
from whamm_cm.wit.model import (
    AnyType,
    ComponentItem,
    Entity,
    Extern,
    FuncItem,
    InstanceItem,
    ModuleItem,
    OpaqueItem,
    Origin,
    Scope,
    ScopedType,
    TypeItem,
    ValueItem,
    World,
    full_name,
    interface_id,
)

#: Nodes of the core level, which say nothing about WIT types.
CORE_NODES = (n.CoreTypeDef, n.CoreModuleTypeDef, n.AliasCoreExport)


class Elaborator:
    """``builder.fail`` makes the error that says where something is wrong."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self._prims: dict[str, t.ValType] = {}

    def fail(self, message: str) -> NoReturn:
        raise self.builder.fail(message)

    def find(self, scope: Scope, item: Item) -> Entity:
        found = scope.find(item)
        if found is None:
            self.fail(f"uses a {item.sort.label} that is not defined before it")
        return found

    # Types

    def any_type(self, scope: Scope, item: Item) -> AnyType:
        found = self.find(scope, item)
        if not isinstance(found, TypeItem):
            self.fail(f"expected a type, not a {item.sort.label}")
        return found.type

    def val(self, scope: Scope, ref: n.ValRef) -> t.ValType:
        if isinstance(ref, str):
            if ref not in self._prims:
                self._prims[ref] = self.builder.made(t.Prim(ref))
            return self._prims[ref]
        found = self.any_type(scope, ref)
        if isinstance(found, t.Resource | t.FuncT | ScopedType):
            self.fail("expected a value type")
        return found

    def opt(self, scope: Scope, ref: n.ValRef | None) -> t.ValType | None:
        return None if ref is None else self.val(scope, ref)

    def resource(self, scope: Scope, item: Item) -> t.Resource:
        found = self.any_type(scope, item)
        if not isinstance(found, t.Resource):
            self.fail("expected a resource type")
        return found

    def func(self, scope: Scope, item: Item) -> t.FuncT:
        found = self.any_type(scope, item)
        if not isinstance(found, t.FuncT):
            self.fail("expected a function type")
        return found

    def define(self, scope: Scope, node: object) -> AnyType | None:
        """The type ``node`` defines, None when it defines none."""
        match node:
            case n.FuncDef():
                self.builder.spend(len(node.params))
                params = tuple((label, self.val(scope, ref)) for label, ref in node.params)
                return t.FuncT(params, self.opt(scope, node.result), node.is_async)
            case n.ResourceDef():
                return t.Resource()
            case n.InstanceTypeDef() | n.ComponentTypeDef():
                return ScopedType(node, scope)
            case n.PrimDef():
                return self.val(scope, node.name)
        made = self._compound(scope, node) or self._handle(scope, node)
        return None if made is None else self.builder.made(made)

    def _compound(self, scope: Scope, node: object) -> t.ValType | None:
        match node:
            case n.RecordDef():
                return t.RecordT(tuple((lab, self.val(scope, ref)) for lab, ref in node.fields))
            case n.VariantDef():
                return t.VariantT(tuple((lab, self.opt(scope, ref)) for lab, ref in node.cases))
            case n.ListDef():
                return t.ListT(self.val(scope, node.element), node.length)
            case n.MapDef():
                return t.MapT(self.val(scope, node.key), self.val(scope, node.value))
            case n.TupleDef():
                return t.TupleT(tuple(self.val(scope, ref) for ref in node.types))
            case n.FlagsDef():
                return t.FlagsT(node.labels)
            case n.EnumDef():
                return t.EnumT(node.labels)
            case n.OptionDef():
                return t.OptionT(self.val(scope, node.inner))
            case n.ResultDef():
                return t.ResultT(self.opt(scope, node.ok), self.opt(scope, node.err))
        return None

    def _handle(self, scope: Scope, node: object) -> t.ValType | None:
        match node:
            case n.OwnDef():
                return t.Own(self.resource(scope, node.resource), self._alias(scope, node.resource))
            case n.BorrowDef():
                resource = self.resource(scope, node.resource)
                return t.Borrow(resource, self._alias(scope, node.resource))
            case n.StreamDef():
                return t.StreamT(self.opt(scope, node.element))
            case n.FutureDef():
                return t.FutureT(self.opt(scope, node.element))
        return None

    def _alias(self, scope: Scope, item: Item) -> str | None:
        """The name a resource is referred to by, where it is another than its own."""
        found = scope.find(item)
        if not isinstance(found, TypeItem) or not isinstance(found.type, t.Resource):
            return None
        return found.name if found.name not in ("", found.type.name) else None

    def named(self, name: str, owner: str | None, target: AnyType) -> AnyType:
        """What an import or export of ``target`` under ``name`` is called from there on."""
        if isinstance(target, t.Resource):
            if target.name is None:
                target.name, target.owner = name, owner
            return target
        if isinstance(target, t.FuncT | ScopedType):
            return target
        return self.builder.made(t.Named(name, owner, target))

    # Uses of types

    def extern(
        self,
        scope: Scope,
        name: n.ExternName,
        type_: n.ExternType,
        owner: str | None,
        origin: Origin,
        depth: int = 0,
    ) -> Entity:
        """What an import, or an export of a type, of this extern type is.

        ``owner``: the interface it is in, None in a world. ``origin``: of what is made.
        """
        self.builder.spend()
        external = name.attribute("external-id")
        match type_.kind:
            case "func":
                func = self.func(scope, self._referent(type_))
                return FuncItem(name.name, func, owner or "", origin, external)
            case "type" if type_.item is None:
                return TypeItem(name.name, t.Resource(name.name, owner), external, owner)
            case "type":
                target = self.any_type(scope, self._referent(type_))
                named = self.named(name.name, owner, target)
                source = self._source(scope, self._referent(type_))
                return TypeItem(name.name, named, external, owner, source)
            case "instance" | "component" as kind:
                scoped = self.any_type(scope, self._referent(type_))
                return self._scoped(kind, name, scoped, origin, self.builder.enter(depth))
            case "value":
                return ValueItem(name.name, self.opt(scope, type_.valtype))
            case "core module":
                return ModuleItem(name.name)
        self.fail(f"unknown kind of import or export {type_.kind!r}")

    def _source(self, scope: Scope, item: Item) -> tuple[str, str] | None:
        found = scope.find(item)
        if isinstance(found, TypeItem) and found.owner and found.name:
            return found.owner, found.name
        return None

    def _referent(self, type_: n.ExternType) -> Item:
        if type_.item is None:
            self.fail(f"a {type_.kind} without a type")
        return type_.item

    def _scoped(
        self, kind: str, name: n.ExternName, scoped: AnyType, origin: Origin, depth: int
    ) -> Entity:
        wanted = n.InstanceTypeDef if kind == "instance" else n.ComponentTypeDef
        if not isinstance(scoped, ScopedType) or not isinstance(scoped.node, wanted):
            self.fail(f"expected {'an' if kind == 'instance' else 'a'} {kind} type")
        owner = interface_id(name) if kind == "instance" else None
        world = self.world(scoped, owner, origin, depth)
        if kind == "component":
            return ComponentItem(name.name, world)
        exports = {extern.name.name: extern.entity for extern in world.exports}
        return InstanceItem(full_name(name), exports, origin)

    def world(self, scoped: ScopedType, owner: str | None, origin: Origin, depth: int) -> World:
        """One use of an instance or component type."""
        scope = Scope({}, scoped.scope)
        imports: list[Extern] = []
        exports: list[Extern] = []
        for decl in scoped.node.decls:
            self.builder.spend()
            node = decl.node
            if isinstance(node, n.Import | n.ExportDecl):
                inner = origin.inner(node.name.name)
                entity = self.extern(scope, node.name, node.type, owner, inner, depth)
                (imports if isinstance(node, n.Import) else exports).append(
                    Extern(node.name, entity)
                )
            else:
                entity = self.local(scope, node)
            for item in decl.items:
                scope.entities[item] = entity
        return World(tuple(imports), tuple(exports))

    def local(self, scope: Scope, node: object) -> Entity:
        """The entity of a definition or declaration that needs no place: aliases and types."""
        if isinstance(node, CORE_NODES):
            return OpaqueItem("core item")
        if isinstance(node, n.AliasOuter):
            return scope.find(node.item) or OpaqueItem(node.item.sort.label)
        if isinstance(node, n.AliasExport):
            return self.export_of(self.find(scope, node.instance), node.name)
        made = self.define(scope, node)
        if made is None:
            self.fail(f"unexpected {type(node).__name__} among types")
        return TypeItem("", made)

    def export_of(self, instance: Entity, name: str) -> Entity:
        if not isinstance(instance, InstanceItem):
            self.fail("alias of an export of something that is no instance")
        found = instance.exports.get(name)
        if found is None:
            self.fail(f"the instance {instance.name or 'aliased here'} has no export {name!r}")
        return found

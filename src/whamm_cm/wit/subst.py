"""Replacing resources, types and origins in entities: what instantiation and export do to them.

Types are DAGs: every node is rebuilt at most once per substitution, and kept where nothing in it
changes.
"""

from __future__ import annotations

from dataclasses import replace

from whamm_cm.wit import types as t
from whamm_cm.wit.build import Builder
from whamm_cm.wit.model import AnyType, Entity, FuncItem, InstanceItem, Origin, ScopedType, TypeItem


class Substitution:
    """``fresh`` gives resources that are not mapped a new identity, as every instantiation of a
    component does (Explainer.md, "Type Checking")."""

    def __init__(self, builder: Builder, fresh: bool = False) -> None:
        self.builder = builder
        self.fresh = fresh
        self.origins: dict[Origin, Origin] = {}
        # Keyed by id; the replaced object is kept so that its id stays its own.
        self._resources: dict[int, tuple[t.Resource, t.Resource]] = {}
        self._types: dict[int, tuple[t.ValType, t.ValType]] = {}
        self._owned: dict[int, tuple[t.ValType, str, str]] = {}
        self._instances: dict[int, tuple[InstanceItem, InstanceItem]] = {}

    def map_resource(self, old: t.Resource, new: t.Resource) -> None:
        self._resources[id(old)] = (old, new)

    def map_type(self, old: t.ValType, new: t.ValType) -> None:
        self._types[id(old)] = (old, new)

    def give_owner(self, old: t.ValType, name: str, owner: str) -> None:
        """Make ``old`` the type ``name`` of interface ``owner``."""
        self._owned[id(old)] = (old, name, owner)

    def resources(self) -> list[tuple[t.Resource, t.Resource]]:
        return list(self._resources.values())

    def resource(self, old: t.Resource) -> t.Resource:
        known = self._resources.get(id(old))
        if known is not None:
            return known[1]
        new = t.Resource(old.name, old.owner) if self.fresh else old
        self._resources[id(old)] = (old, new)
        return new

    def type(self, old: t.ValType) -> t.ValType:
        known = self._types.get(id(old))
        if known is None:
            known = (old, self._rebuild(old))
            self._types[id(old)] = known
        return known[1]

    def _rebuild(self, old: t.ValType) -> t.ValType:
        self.builder.spend()
        owned = self._owned.get(id(old))
        if owned is not None:
            inner = old.target if isinstance(old, t.Named) else old
            # Not through type(): ``old`` itself would find this very entry.
            target = self.type(inner) if inner is not old else self._parts(old)
            return self.builder.made(t.Named(owned[1], owned[2], target))
        return self._parts(old)

    def _parts(self, old: t.ValType) -> t.ValType:
        if isinstance(old, t.Own | t.Borrow):
            resource = self.resource(old.resource)
            if resource is old.resource:
                return old
            return self.builder.made(type(old)(resource, old.alias))
        before = t.children(old)
        self.builder.spend(len(before))
        after = []
        for child in before:
            after.append(self.type(child))
        if all(a is b for a, b in zip(after, before, strict=True)):
            return old
        return self.builder.made(with_children(old, tuple(after)))

    def func(self, old: t.FuncT) -> t.FuncT:
        self.builder.spend(len(old.params))
        params = tuple((label, self.type(param)) for label, param in old.params)
        result = None if old.result is None else self.type(old.result)
        same = result is old.result and all(
            a[1] is b[1] for a, b in zip(params, old.params, strict=True)
        )
        return old if same else t.FuncT(params, result, old.is_async)

    def entity(self, old: Entity, depth: int = 0) -> Entity:
        self.builder.spend()
        match old:
            case FuncItem():
                origin = old.origin
                if origin is not None:
                    origin = self.origins.get(origin, origin)
                return replace(old, type=self.func(old.type), origin=origin)
            case TypeItem():
                return replace(old, type=self._item_type(old))
            case InstanceItem():
                return self._instance(old, self.builder.enter(depth))
            case _:
                return old

    def _item_type(self, old: TypeItem) -> AnyType:
        if isinstance(old.type, t.Resource):
            return self.resource(old.type)
        if isinstance(old.type, t.FuncT):
            return self.func(old.type)
        if isinstance(old.type, ScopedType):
            return old.type
        return self.type(old.type)

    def _instance(self, old: InstanceItem, depth: int) -> InstanceItem:
        known = self._instances.get(id(old))
        if known is None:
            exports = {name: self.entity(e, depth) for name, e in old.exports.items()}
            known = (old, replace(old, exports=exports))
            self._instances[id(old)] = known
        return known[1]


def with_children(old: t.ValType, new: tuple[t.ValType, ...]) -> t.ValType:
    """``old`` with its children (see :func:`whamm_cm.wit.types.children`) replaced by ``new``."""
    rest = iter(new)

    def take(child: t.ValType | None) -> t.ValType | None:
        return None if child is None else next(rest)

    match old:
        case t.Named():
            return t.Named(old.name, old.owner, new[0])
        case t.ListT():
            return t.ListT(new[0], old.length)
        case t.OptionT():
            return t.OptionT(new[0])
        case t.MapT():
            return t.MapT(new[0], new[1])
        case t.RecordT():
            return t.RecordT(tuple((f[0], c) for f, c in zip(old.fields, new, strict=True)))
        case t.TupleT():
            return t.TupleT(new)
        case t.VariantT():
            return t.VariantT(tuple((label, take(payload)) for label, payload in old.cases))
        case t.ResultT():
            return t.ResultT(take(old.ok), take(old.err))
        case t.StreamT() | t.FutureT():
            return type(old)(take(old.element))
        case _:
            return old

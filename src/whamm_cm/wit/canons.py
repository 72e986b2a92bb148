"""What each canonical definition calls, is called by, or is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component
from whamm_cm.component.items import Item
from whamm_cm.dataclass import dataclass
from whamm_cm.wit import types as t
from whamm_cm.wit.elaborate import Elaborator
from whamm_cm.wit.linking import Linker
from whamm_cm.wit.model import FuncItem, Origin, Scope, ScopedType, World, functions, split_version
from whamm_cm.wit.names import func_label

#: Labels of the resource built-ins, as records and scripts name them.
RESOURCE_LABELS = {
    "resource.drop": "{}.drop",
    "resource.new": "[resource-new]{}",
    "resource.rep": "[resource-rep]{}",
}


@dataclass(frozen=True, slots=True)
class CanonInfo:
    """A canonical definition, resolved.

    ``interface`` is without ``version``, "" for functions of the world. ``label`` names the
    function (``tcp-socket.bind``, ``tcp-socket.drop``) or is the built-in's own name
    (``waitable-set.wait``), ``name`` the raw extern name ("" for built-ins and nameless lifts).

    ``edge``: ``import`` (the other side is outside of the root component), ``export`` (a lift that
    reaches an export of the root), ``inner`` (the other side is another component in here),
    ``builtin``. Resource built-ins on a resource from elsewhere have the edge of that resource.
    ``peer``: the component on the other side of a lower's ``inner`` edge. ``origin``: of the
    function, seen from ``component``.
    """

    component: Component
    offset: int
    canon: n.Canon
    item: Item
    edge: str
    interface: str = ""
    version: str | None = None
    name: str = ""
    label: str = ""
    func: t.FuncT | None = None
    resource: t.Resource | None = None
    type: t.ValType | None = None
    result: t.ValType | None = None
    origin: Origin | None = None
    peer: Component | None = None

    @property
    def op(self) -> str:
        return self.canon.op


class Canons:
    """Collects canonical definitions while a component is resolved, describes them at its end."""

    def __init__(self, types: Elaborator, linker: Linker) -> None:
        self.types = types
        self.linker = linker
        self._found: list[tuple[CanonInfo, FuncItem | None]] = []

    def add(
        self, component: Component, offset: int, canon: n.Canon, item: Item, scope: Scope
    ) -> None:
        info = CanonInfo(component, offset, canon, item, "builtin", label=canon.op)
        callee: FuncItem | None = None
        if canon.op == "lift" and canon.type is not None:
            info = replace(info, func=self.types.func(scope, canon.type))
        elif canon.op == "lower" and canon.func is not None:
            callee = self._callee(scope, canon.func)
        elif canon.op in RESOURCE_LABELS and canon.type is not None:
            info = replace(info, resource=self.types.resource(scope, canon.type))
        elif canon.op.startswith(("stream.", "future.")) and canon.type is not None:
            info = replace(info, type=self._element_holder(scope, canon.type))
        elif canon.op == "task.return":
            info = replace(info, result=self.types.opt(scope, canon.result))
        self._found.append((info, callee))

    def _callee(self, scope: Scope, item: Item) -> FuncItem:
        found = self.types.find(scope, item)
        if not isinstance(found, FuncItem):
            self.types.fail(f"lowers a {item.sort.label}, not a function")
        return found

    def _element_holder(self, scope: Scope, item: Item) -> t.ValType:
        found = self.types.any_type(scope, item)
        if isinstance(found, t.Resource | t.FuncT | ScopedType):
            self.types.fail("expected a stream or future type")
        return found

    def describe(self, root: Component, world: World) -> Mapping[Item, CanonInfo]:
        """Every canonical definition, in order, by the item it defines."""
        out = {
            func.origin for extern in world.exports for func in functions(extern.entity)
        }  # lifts among these are called from outside
        described: dict[Item, CanonInfo] = {}
        for info, callee in self._found:
            if callee is not None:
                info = self._lower(info, callee, root)
            elif info.op == "lift":
                info = self._lift(info, out)
            elif info.resource is not None:
                info = self._resource(info, info.resource, root)
            described[info.item] = info
        return described

    def _lower(self, info: CanonInfo, callee: FuncItem, root: Component) -> CanonInfo:
        edge, peer = self._edge(callee.origin, root)
        interface, version = split_version(callee.interface)
        name = callee.name
        if callee.origin is not None and callee.origin.kind == "lift" and not name:
            interface, name = self.linker.lift_name(callee.origin)
            interface, version = split_version(interface)
        return replace(
            info, edge=edge, interface=interface, version=version, name=name,
            label=func_label(name), func=callee.type, origin=callee.origin, peer=peer,
        )  # fmt: skip

    def _lift(self, info: CanonInfo, out: set[Origin | None]) -> CanonInfo:
        origin = Origin("lift", info.component, (), info.item)
        interface, name = self.linker.lift_name(origin)
        interface, version = split_version(interface)
        return replace(
            info, edge="export" if origin in out else "inner", interface=interface,
            version=version, name=name, label=func_label(name), origin=origin,
        )  # fmt: skip

    def _resource(self, info: CanonInfo, resource: t.Resource, root: Component) -> CanonInfo:
        interface, version = split_version(resource.owner or "")
        home = self.linker.resource_home(resource)
        edge = "builtin"
        if home is not None and (home.kind == "import" or home.component is not info.component):
            edge, _ = self._edge(home, root)
        label = RESOURCE_LABELS[info.op].format(resource.name or "resource")
        return replace(info, edge=edge, interface=interface, version=version, label=label)

    def _edge(self, origin: Origin | None, root: Component) -> tuple[str, Component | None]:
        if origin is None:
            return "import", None
        source = self.linker.source(origin)
        if source.kind == "import":
            # An import of a component that is never instantiated is satisfied from outside, too.
            return "import", None
        return "inner", source.component

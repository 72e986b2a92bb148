"""What a weave needs to know about the whole component tree before it edits anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from functools import cached_property

from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component, Definition, walk
from whamm_cm.component.items import Item, Sort
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import DecodeError
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.types import MemoryType


@dataclass
class Program:
    """Index of a decoded component tree: where each item is defined and in which component."""

    root: Component
    home: dict[Item, tuple[Component, Definition]] = field(default_factory=dict)
    #: The definition that holds a nested component.
    holder: dict[Component, tuple[Component, Definition]] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Component) -> Program:
        program = cls(root)
        for component in walk(root):
            for definition in component.definitions:
                for item in definition.items:
                    program.home[item] = component, definition
                if isinstance(definition.node, Component):
                    program.holder[definition.node] = component, definition
        return program

    @cached_property
    def extendable(self) -> Extendable:
        return Extendable.of(self)

    def definition(self, item: Item) -> Definition:
        return self.home[item][1]

    def follow(self, item: Item) -> Item:
        """``item`` behind any number of outer aliases."""
        node = self.definition(item).node
        while isinstance(node, n.AliasOuter):
            item = node.item
            node = self.definition(item).node
        return item

    def memory(self, item: Item) -> MemoryType | str:
        """The type of a core memory, or the reason why it cannot be known."""
        found = self.memory_of(item)
        if isinstance(found, str):
            return found
        instance = self.definition(found[0]).node
        assert isinstance(instance, n.CoreInstantiate), "that is where memories are"
        return self._exported_memory(instance.module, found[1])

    def memory_of(self, item: Item) -> tuple[Item, str] | str:
        """The core instance that a memory is of, and the name it exports it by; or the reason why
        that cannot be known.  Several items may be one memory."""
        for _ in range(1000):
            node = self.definition(item).node
            if isinstance(node, n.AliasOuter):
                item = node.item
                continue
            if not isinstance(node, n.AliasCoreExport):
                return "its memory is not an export of a core instance"
            instance = self.definition(node.instance).node
            if isinstance(instance, n.CoreInlineExports):
                given = dict(instance.exports).get(node.name)
                if given is None:
                    return f"its core instance has no export {node.name!r}"
                item = given
                continue
            if isinstance(instance, n.CoreInstantiate):
                return node.instance, node.name
            return "its memory comes from an instance of unknown shape"
        return "its memory is aliased too many times"

    def _exported_memory(self, module: Item, name: str) -> MemoryType | str:
        definition = self.definition(self.follow(module))
        node = definition.node
        if isinstance(node, CoreModule):
            try:
                memory = node.exported_memory(name)
            except (DecodeError, KeyError) as error:
                return f"its core module cannot be read: {error}"
            return memory
        if isinstance(node, n.Import) and node.type.item is not None:
            for decl in self._module_type(node.type.item):
                found = decl.node
                if isinstance(found, n.CoreExportDecl) and found.name == name:
                    limits = found.type.limits
                    return limits if isinstance(limits, MemoryType) else "it is no memory"
        return "its memory belongs to a core module of unknown type"

    def _module_type(self, item: Item) -> tuple[n.Decl, ...]:
        node = self.definition(self.follow(item)).node
        return node.decls if isinstance(node, n.CoreModuleTypeDef) else ()


def given_names(component: Component) -> dict[Item, str]:
    """The names that the name section of ``component`` itself gives to its items."""
    names: dict[Item, str] = {}
    for definition in component.definitions:
        if isinstance(definition.node, n.NameSection):
            names.update((item, name) for _, _, item, name in definition.node.rows)
    return names


def uses_of_components(root: Component) -> Iterator[tuple[Component, Definition, Item]]:
    """Every use of a component item: (component it stands in, the definition, the item)."""
    for component in walk(root):
        for definition in component.definitions:
            for item in definition.refs():
                if item.sort == Sort.COMPONENT:
                    yield component, definition, item


@dataclass(slots=True)
class Extendable:
    """Which components can be given the extra imports a probe needs.

    A component qualifies when every use of it is an ``instantiate`` (directly or through outer
    aliases) inside a component that qualifies itself; ``blocked`` says why others do not.  A
    component that is exported or passed as an argument cannot take another import: more imports is
    not a subtype (Explainer.md, "Subtyping").
    """

    program: Program
    #: Components that instantiate a given component.
    users: dict[Component, set[Component]] = field(default_factory=dict)
    blocked: dict[Component, str] = field(default_factory=dict)

    @classmethod
    def of(cls, program: Program) -> Extendable:
        found = cls(program)
        for component, definition, item in uses_of_components(program.root):
            target = found._target(item)
            if target is None:
                continue
            node = definition.node
            if isinstance(node, n.Instantiate) and node.component is item:
                found.users.setdefault(target, set()).add(component)
            elif not isinstance(node, (n.AliasOuter, n.NameSection)):
                found.blocked[target] = (
                    "it is exported or passed on as a component, whose type allows no more imports"
                )
        found._spread()
        return found

    def _target(self, item: Item) -> Component | None:
        node = self.program.definition(self.program.follow(item)).node
        return node if isinstance(node, Component) else None

    def _spread(self) -> None:
        """A component instantiated in a blocked one has nowhere to get its imports from."""
        changed = True
        while changed:
            changed = False
            for target, users in self.users.items():
                if target not in self.blocked and any(user in self.blocked for user in users):
                    self.blocked[target] = "a component around it cannot take more imports"
                    changed = True

    def instantiated(self, component: Component) -> bool:
        """Whether an instance of ``component`` ever comes to be (the root's does)."""
        return component is self.program.root or component in self.users

    def closure(self, wanted: set[Component]) -> set[Component]:
        """``wanted`` plus every component that must pass the extra imports on to one of them."""
        result, stack = set[Component](), list(wanted)
        while stack:
            current = stack.pop()
            if current not in result:
                result.add(current)
                stack.extend(self.users.get(current, ()))
        return result

    def reason(self, component: Component) -> str:
        """Why no probe can be in ``component``, "" where one can."""
        if component in self.blocked:
            return self.blocked[component]
        return "" if self.instantiated(component) else "its component is never instantiated"

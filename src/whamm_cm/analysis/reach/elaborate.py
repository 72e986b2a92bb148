"""Component definitions → instances: every component and core module is instantiated as written.

Nothing recurses on nesting or on chains of instantiations; :data:`MAX_INSTANCES` bounds the work
where components that instantiate each other twice would double it with every step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import field
from typing import Any

from whamm_cm.analysis.callgraph import CallGraph
from whamm_cm.analysis.reach import cores
from whamm_cm.analysis.reach.values import (
    CORE_FUNCS,
    Bag,
    Builtin,
    Cell,
    Closure,
    CoreBag,
    CoreInstance,
    CoreValue,
    Entrance,
    Func,
    Host,
    Lift,
    Node,
    Opaque,
    OwnResource,
    Passed,
    Place,
    Unknown,
    Value,
    source,
    take,
)
from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component, Definition
from whamm_cm.component.items import Item, Sort
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import DecodeError
from whamm_cm.wasm.module import CoreModule

#: Instances of components and core modules at most, all together.
MAX_INSTANCES = 20_000

#: Sorts whose items stand for core values.
_CORE = frozenset((Sort.CORE_FUNC, Sort.CORE_TABLE, Sort.CORE_MEMORY, Sort.CORE_GLOBAL,
                   Sort.CORE_TAG, Sort.CORE_INSTANCE))  # fmt: skip


@dataclass(slots=True)
class Instances:
    """Every instance of a component tree.  ``entrances``: what is run without being called."""

    root: Place
    places: list[Place] = field(default_factory=list)
    cores: list[CoreInstance] = field(default_factory=list)
    entrances: list[Entrance] = field(default_factory=list)
    graphs: dict[int, CallGraph] = field(default_factory=dict)


def elaborate(root: Component, cores: bool = True) -> Instances:
    """Instantiate ``root``; without ``cores`` only its components, so that core modules are not
    read, lifts have no core functions and nothing is entered.

    Raises DecodeError where references make no sense, where core modules are malformed, and above
    :data:`MAX_INSTANCES`.
    """
    return _Elaborator(root, cores).run()


@dataclass(slots=True)
class _Frame:
    place: Place
    rest: Iterator[Definition]
    #: What to do with the finished instance.
    finish: Callable[[Bag], None]


class _Elaborator:
    def __init__(self, root: Component, cores: bool) -> None:
        self.found = Instances(Place(root, None, None))
        self.cores = cores
        self.stack: list[_Frame] = []
        #: Components that code from outside gets, from where, and under which name.
        self.handed: list[tuple[Closure, Place, str]] = []
        self.place, self.offset = self.found.root, root.offset
        self.handlers: dict[type, Callable[[Place, Definition, Any], None]] = {
            Component: self._component,
            CoreModule: self._module,
            n.CoreInstantiate: self._core_instance,
            n.CoreInlineExports: self._core_bag,
            n.AliasCoreExport: self._alias_core,
            n.AliasExport: self._alias,
            n.AliasOuter: self._alias_outer,
            n.Import: self._import,
            n.Export: self._export,
            n.InlineExports: self._bag,
            n.Instantiate: self._instantiate,
            n.Canon: self._canon,
            n.ResourceDef: self._resource,
            n.Start: self._start,
        }
        if not cores:
            for kind in (n.CoreInstantiate, n.CoreInlineExports, n.AliasCoreExport):
                del self.handlers[kind]

    def fail(self, message: str) -> DecodeError:
        return DecodeError(message, self.offset, self.place.component.path)

    def run(self) -> Instances:
        self._enter(self.found.root, lambda _: None)
        for name, value in list(self.found.root.exports.items()):
            self._escape(value, self.found.root, name)
        while self.handed:
            self._instantiated(*self.handed.pop())
        return self.found

    def _enter(self, place: Place, finish: Callable[[Bag], None]) -> None:
        """Run ``place`` to its end, now when nothing runs, else next."""
        self._count()
        self.found.places.append(place)
        self.stack.append(_Frame(place, iter(place.component.definitions), finish))
        if len(self.stack) > 1:
            return
        while self.stack:
            frame = self.stack[-1]
            if not self._step(frame):
                self.stack.pop()
                frame.finish(Bag(frame.place.exports))

    def _step(self, frame: _Frame) -> bool:
        """Go on until an instance is entered; False at the end."""
        self.place, depth = frame.place, len(self.stack)
        for definition in frame.rest:
            handler = self.handlers.get(type(definition.node))
            if handler is not None:
                self.offset = definition.offset
                try:
                    handler(frame.place, definition, definition.node)
                except KeyError as error:
                    raise self.fail(f"refers to {error}, which is not there") from None
                if len(self.stack) != depth:
                    return True
        return False

    def _count(self) -> None:
        if len(self.found.places) + len(self.found.cores) >= MAX_INSTANCES:
            raise self.fail(f"instantiates more than {MAX_INSTANCES:,} components and modules")

    # Items

    def _value(self, place: Place, item: Item) -> Value:
        """Types that are no resources have no value."""
        at: Place | None = place
        while at is not None:
            if item in at.items:
                return at.items[item]
            at = at.parent
        return None

    def _core(self, place: Place, item: Item) -> CoreValue:
        return place.cores[item]

    def _function(self, place: Place, item: Item) -> Node:
        found = place.cores[item]
        if not isinstance(found, CORE_FUNCS):
            raise self.fail("expected a core function")
        return found

    # Definitions

    def _component(self, place: Place, definition: Definition, node: Component) -> None:
        place.items[definition.item] = Closure(node, place)

    def _module(self, place: Place, definition: Definition, node: CoreModule) -> None:
        place.items[definition.item] = node

    def _core_instance(self, place: Place, definition: Definition, node: n.CoreInstantiate) -> None:
        self._count()
        module, _ = source(self._value(place, node.module))
        args = {name: self._core(place, item) for name, item in node.args}
        if isinstance(module, CoreModule):
            graph = self.found.graphs.get(id(module))
            if graph is None:
                graph = self.found.graphs[id(module)] = CallGraph(module)
            instance = cores.link(place, graph, args, self.fail)
            self.found.cores.append(instance)
            place.cores[definition.item] = instance
            start = graph.module.start
            if start is not None:
                target = ("start", instance.function(start))
                self.found.entrances.append(Entrance("start", place, (module.path,), [target]))
            return
        if not isinstance(module, Host | Opaque):
            raise self.fail("instantiates something that is no core module")
        unknown = self._unknown(place, module)
        cores.give(unknown, args.values())
        place.cores[definition.item] = unknown

    def _unknown(self, place: Place, value: Host | Opaque) -> Unknown:
        """The code of something imported, which may run at once."""
        name = "/".join(value.path) if isinstance(value, Host) else value.node.name
        unknown = Unknown(place, name, cells=[place.pool])
        entrance = Entrance("instantiation", place, (name,), [("instantiation", unknown)])
        self.found.entrances.append(entrance)
        return unknown

    def _core_bag(self, place: Place, definition: Definition, node: n.CoreInlineExports) -> None:
        exports = {name: self._core(place, item) for name, item in node.exports}
        place.cores[definition.item] = CoreBag(exports)

    def _alias_core(self, place: Place, definition: Definition, node: n.AliasCoreExport) -> None:
        item = definition.item
        instance = self._core(place, node.instance)
        place.cores[item] = cores.take(instance, node.name, item.sort, self.fail)

    def _alias(self, place: Place, definition: Definition, node: n.AliasExport) -> None:
        value = self._value(place, node.instance)
        place.items[definition.item] = take(value, node.name)

    def _alias_outer(self, place: Place, definition: Definition, node: n.AliasOuter) -> None:
        place.items[definition.item] = self._value(place, node.item)

    def _import(self, place: Place, definition: Definition, node: n.Import) -> None:
        name = node.name.name
        value: Value
        if place.args is None:
            value = Host((name,))
        elif isinstance(place.args, Opaque):
            value = place.args
        else:
            value = place.args[name]
        # A module or component is the same whatever it is called.
        passed = not isinstance(source(value)[0], Closure | CoreModule)
        place.items[definition.item] = Passed(value, place, (name,)) if passed else value

    def _export(self, place: Place, definition: Definition, node: n.Export) -> None:
        value: Value = None
        if node.item.sort not in _CORE:
            value = self._value(place, node.item)
        place.items[definition.item] = place.exports[node.name.name] = value

    def _bag(self, place: Place, definition: Definition, node: n.InlineExports) -> None:
        exports = {name.name: self._value(place, item) for name, item in node.exports}
        place.items[definition.item] = Bag(exports)

    def _instantiate(self, place: Place, definition: Definition, node: n.Instantiate) -> None:
        component, _ = source(self._value(place, node.component))
        args = {name: self._value(place, item) for name, item in node.args}
        if isinstance(component, Closure):

            def finish(exports: Bag, item: Item = definition.item) -> None:
                place.items[item] = exports

            self._enter(Place(component.component, component.place, args), finish)
            return
        if not isinstance(component, Host | Opaque):
            raise self.fail("instantiates something that is no component")
        unknown = self._unknown(place, component)
        place.items[definition.item] = Opaque(unknown)
        for name, value in args.items():
            unknown.given.append((name, value))
            self._escape(value, place, name)

    def _escape(self, value: Value, place: Place, name: str) -> None:
        """A component that is handed out can be instantiated there, with whatever imports; so can
        those that instances have as exports, and those that it exports in its turn."""
        pending, seen = [(name, value)], set[int]()
        while pending:
            path, value = pending.pop()
            value, _ = source(value)
            if isinstance(value, Closure):
                self.handed.append((value, place, path))
            elif isinstance(value, Bag) and id(value) not in seen:
                seen.add(id(value))
                pending += [(f"{path}/{inner}", found) for inner, found in value.exports.items()]

    def _instantiated(self, closure: Closure, place: Place, name: str) -> None:
        unknown = Unknown(place, name)
        self.found.entrances.append(Entrance("instantiation", place, (name,), [(name, unknown)]))

        def finish(exports: Bag) -> None:
            unknown.given.append((name, exports))
            self._escape(exports, place, name)

        self._enter(Place(closure.component, closure.place, Opaque(unknown)), finish)

    def _canon(self, place: Place, definition: Definition, node: n.Canon) -> None:
        options = node.options
        helpers = [
            (label, self._function(place, item))
            for label, item in (
                ("callback", options.callback),
                ("post-return", options.post_return),
                ("realloc", options.realloc),
            )
            if item is not None and self.cores
        ]
        item = definition.item
        if node.op == "lift":
            assert node.func is not None
            targets = [("lift", self._function(place, node.func))] if self.cores else []
            place.items[item] = Func(Lift(place, item, [*targets, *helpers]))
            return
        callee: Value = None
        if node.op == "lower" and node.func is not None:
            callee = self._value(place, node.func)
        elif node.op.startswith("resource.") and node.type is not None:
            callee = self._value(place, node.type)
        builtin = Builtin(place, item, node, callee, helpers)
        if self.cores and node.op.startswith(("thread.new", "thread.spawn")):
            table = place.pool if node.table is None else self._core(place, node.table)
            builtin.spawns = table if isinstance(table, Cell) else place.pool
        place.cores[item] = builtin

    def _resource(self, place: Place, definition: Definition, node: n.ResourceDef) -> None:
        dtor = node.dtor if self.cores else None
        called = None if dtor is None else self._function(place, dtor)
        place.items[definition.item] = OwnResource(place, definition.item, called)

    def _start(self, place: Place, definition: Definition, node: n.Start) -> None:
        value = self._value(place, node.func)
        self.found.entrances.append(Entrance("start", place, (), [("start", value)]))

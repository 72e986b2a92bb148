"""The core modules of a component tree: what they are called and who instantiates them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from whamm_cm.analysis.program import Program, given_names
from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component, Definition, walk
from whamm_cm.component.items import Item, Sort
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import DecodeError
from whamm_cm.wasm.module import CoreModule


@dataclass(frozen=True, slots=True, eq=False)
class Guest:
    """A core module of the input.

    ``place``: its name (``main``; the one the component gives it, else its own), or its nesting
    path (``component[0].module[2]``) where it has none or another module has the same.
    ``instances``: each ``core instantiate`` of it with the component it stands in.  ``reason`` is
    non-empty when it cannot take extra imports, and says why.
    """

    component: Component
    definition: Definition
    module: CoreModule
    place: str
    instances: tuple[tuple[Component, Definition], ...]
    reason: str = ""


def find_guests(program: Program) -> list[Guest]:
    """Every core module defined in the tree, in order."""
    instances: dict[Definition, list[tuple[Component, Definition]]] = {}
    passed_on: set[Definition] = set()
    for component in walk(program.root):
        for definition in component.definitions:
            for item in definition.refs():
                if item.sort != Sort.CORE_MODULE:
                    continue
                target = program.definition(program.follow(item))
                node = definition.node
                if isinstance(node, n.CoreInstantiate):
                    instances.setdefault(target, []).append((component, definition))
                elif not isinstance(node, n.AliasOuter | n.NameSection):
                    passed_on.add(target)
    found = []
    for component in walk(program.root):
        names = given_names(component)
        for definition in component.definitions:
            if isinstance(definition.node, CoreModule):
                name = names.get(definition.item) or _own_name(definition.node)
                found.append((component, definition, definition.node, name))
    taken = Counter(name for *_, name in found)
    guests = []
    for component, definition, module, name in found:
        where = tuple(instances.get(definition, ()))
        reason = "it is exported or passed on as a module, whose type allows no more imports"
        if definition not in passed_on:
            blocked = (program.extendable.blocked.get(component) for component, _ in where)
            reason = next(filter(None, blocked), "")
        place = name if name and taken[name] == 1 else module.path
        guests.append(Guest(component, definition, module, place, where, reason))
    return guests


def modules_at(program: Program) -> dict[Item, str]:
    """By what canonical definitions make: the places of the core modules that they call (lifts) or
    are given to, who may call them (all others).

    Not those that are given to several, or to one without code, which puts them in a table for
    others; nor lifts of what a module has imported itself.
    """
    guests = {guest.definition: guest for guest in find_guests(program)}
    given: dict[Item, list[Guest]] = {}
    found: dict[Item, str] = {}
    for component in walk(program.root):
        for definition in component.definitions:
            node = definition.node
            if isinstance(node, n.CoreInstantiate):
                guest = guests.get(program.definition(program.follow(node.module)))
                if guest is not None:
                    for item in _taken(program, guest, node):
                        given.setdefault(item, []).append(guest)
            elif isinstance(node, n.Canon) and node.op == "lift" and node.func is not None:
                guest = _called(program, guests, node.func)
                if guest is not None:
                    found[definition.item] = guest.place
    for item, takers in given.items():
        if len({*takers}) == 1 and takers[0].module.functions:
            found[item] = takers[0].place
    return found


def _taken(program: Program, guest: Guest, node: n.CoreInstantiate) -> list[Item]:
    """The core functions that a module imports, as far as they are given one by one."""
    wanted = {(each.module, each.name) for each in guest.module.imported("func")}
    found = []
    for name, instance in node.args:
        bag = program.definition(program.follow(instance)).node
        if isinstance(bag, n.CoreInlineExports):
            given = [item for func, item in bag.exports if (name, func) in wanted]
            found += [_origin(program, item)[0] for item in given]
    return found


def _called(program: Program, guests: Mapping[Definition, Guest], func: Item) -> Guest | None:
    """The module that defines a core function."""
    instance, name = _origin(program, func)
    node = program.definition(instance).node
    if not isinstance(node, n.CoreInstantiate):
        return None
    guest = guests.get(program.definition(program.follow(node.module)))
    export = None if guest is None else guest.module.export(name)
    if guest is None or export is None or export.index < len(guest.module.imported("func")):
        return None
    return guest


def _origin(program: Program, func: Item) -> tuple[Item, str]:
    """The core instance that a core function is exported by, and as what; else itself, and ""."""
    node = program.definition(func := program.follow(func)).node
    while isinstance(node, n.AliasCoreExport):
        instance, name = program.follow(node.instance), node.name
        bag = program.definition(instance).node
        if not isinstance(bag, n.CoreInlineExports):
            return instance, name
        node = program.definition(func := program.follow(dict(bag.exports)[name])).node
    return func, ""


def _own_name(module: CoreModule) -> str:
    try:
        return module.names.module or ""
    except DecodeError:
        return ""  # a broken name section only costs the name

"""The core modules of a component tree: what they are called and who instantiates them."""

from __future__ import annotations

from collections import Counter

from whamm_cm.analysis.program import Program, given_names
from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component, Definition, walk
from whamm_cm.component.items import Sort
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


def _own_name(module: CoreModule) -> str:
    try:
        return module.names.module or ""
    except DecodeError:
        return ""  # a broken name section only costs the name

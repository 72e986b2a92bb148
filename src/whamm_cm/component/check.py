"""The IR checker: faults a transform can introduce, found before anything is written.

It looks at references only (types are wasmtime's business): everything used is defined earlier in
the same component or in an enclosing one, nothing is defined twice, names are unique.
"""

from __future__ import annotations

from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component, SectionId
from whamm_cm.component.items import Item
from whamm_cm.wasm.module import CoreModule

_NESTED = ((Component, SectionId.COMPONENT), (CoreModule, SectionId.CORE_MODULE))


def check(component: Component) -> list[str]:
    """Faults of ``component`` and everything nested in it, as sentences; empty when sound."""
    faults: list[str] = []
    _check(component, set(), component.path or "component", faults)
    return faults


def _check(component: Component, known: set[Item], where: str, faults: list[str]) -> None:
    """``known``: what the enclosing components have defined so far; left as it was found."""
    own: list[Item] = []
    names: dict[str, set[str]] = {"import": set(), "export": set()}
    nested = 0
    for position, definition in enumerate(component.definitions):
        place = f"{where}, definition {position}"
        node = definition.node
        # The types of a recursion group may refer to each other.
        group = definition.items if isinstance(node, n.CoreTypeDef) else ()
        for item in definition.refs():
            if item not in known and item not in group:
                faults.append(f"{place}: uses a {item.sort.label} that is not defined before it")
        for item in definition.items:
            if item in known:
                faults.append(f"{place}: defines a {item.sort.label} that exists already")
            else:
                known.add(item)
                own.append(item)
        if isinstance(node, Component):
            _check(node, known, f"{where}.component[{nested}]", faults)
            nested += 1
        if any(isinstance(node, t) != (definition.section == at) for t, at in _NESTED):
            faults.append(f"{place}: is in the wrong section")
        if isinstance(node, (n.Import, n.Export)):
            kind = "import" if isinstance(node, n.Import) else "export"
            if node.name.name in names[kind]:
                faults.append(f"{place}: second {kind} named {node.name.name!r}")
            names[kind].add(node.name.name)
    known.difference_update(own)

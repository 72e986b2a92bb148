"""Where an item of a component comes from, by the component's own definitions alone."""

from __future__ import annotations

from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component
from whamm_cm.component.items import Item
from whamm_cm.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Provenance:
    """``kind`` import: ``names`` is the import's name and the exports to take from there.
    ``instance``: ``item`` is an instance made by instantiation and ``names`` the exports to take.
    ``definition``: ``item`` is defined here (by a canon lift, for functions), ``names`` empty."""

    kind: str
    item: Item
    names: tuple[str, ...] = ()


def provenance(component: Component, item: Item) -> Provenance:
    """Follow ``item`` through exports, export aliases and inline instances.

    Raises KeyError when ``item`` is not defined in ``component``.
    """
    names: list[str] = []  # exports still to take from ``item``, innermost last
    while True:
        node = component.definition_of(item).node
        if isinstance(node, n.Export):
            item = node.item
        elif isinstance(node, n.AliasExport):
            names.insert(0, node.name)
            item = node.instance
        elif isinstance(node, n.AliasOuter) and component.defines(node.item):
            item = node.item
        elif isinstance(node, n.InlineExports) and names:
            item = {name.name: it for name, it in node.exports}[names.pop(0)]
        elif isinstance(node, n.Import):
            return Provenance("import", item, (node.name.name, *names))
        elif isinstance(node, n.Instantiate):
            return Provenance("instance", item, tuple(names))
        else:
            return Provenance("definition", item, tuple(names))

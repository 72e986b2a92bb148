"""Enclosing: a new root around a component, with siblings of ours beside it.

The new root imports what the original imports (same names, same types), instantiates the original
with those imports passed on by name plus the extra ones, and exports its exports under their names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from whamm_cm.binary import build
from whamm_cm.ir import nodes as n
from whamm_cm.ir.component import Component, Definition, SectionId
from whamm_cm.ir.items import Item, Ref, Sort
from whamm_cm.weave.report_export import report_export
from whamm_cm.weave.supply import Interface


def import_closure(component: Component) -> list[Definition]:
    """The imports of ``component`` with the definitions they need, in their order."""
    wanted: set[int] = set()
    stack = [d for d in component.definitions if isinstance(d.node, n.Import)]
    while stack:
        definition = stack.pop()
        if id(definition) not in wanted:
            wanted.add(id(definition))
            stack.extend(component.definition_of(item) for item in definition.refs())
    return [d for d in component.definitions if id(d) in wanted]


@dataclass(slots=True)
class Outer:
    """The definitions of the new root while it is put together, with the original's items."""

    component: Component
    definitions: list[Definition] = field(default_factory=list)

    @classmethod
    def around(cls, component: Component) -> Outer:
        return cls(component, import_closure(component))

    def use(self, interface: Interface) -> None:
        """Put ``interface`` where the import it replaces stood, or behind the last import."""
        if interface.replaces is None:
            self.definitions.extend(interface.definitions)
            return
        position = next(i for i, d in enumerate(self.definitions) if d is interface.replaces)
        self.definitions[position : position + 1] = interface.definitions

    def add(self, *definitions: Definition) -> None:
        self.definitions.extend(definitions)


def enclose(
    outer: Outer,
    inner: Component,
    extra: Sequence[tuple[str, Item]] = (),
    flushes: Sequence[str] = (),
) -> Component:
    """Finish the new root: ``inner`` (the original, perhaps woven) instantiated with every import
    of the original and ``extra``, and its exports passed on; those named ``flushes``, which are
    new, as one."""
    original = outer.component
    nested = build.nested_component(inner.with_definitions(_without_metadata(inner)))
    args = [
        (d.node.name.name, d.item) for d in original.definitions if isinstance(d.node, n.Import)
    ]
    instance = build.instantiate(nested.item, (*args, *extra))
    definitions = [*outer.definitions, nested, instance]
    for definition in original.definitions:
        if isinstance(definition.node, n.Export):
            node = definition.node
            alias = build.alias_export(instance.item, node.name.name, node.item.sort)
            definitions += (alias, build.export(node.name, alias.item))
    passed = [build.alias_export(instance.item, name, Sort.FUNC) for name in flushes]
    if passed:
        definitions += (*passed, *report_export([alias.item for alias in passed]))
    definitions += (d for d in original.definitions if _is_metadata(d))
    return Component(tuple(_fresh(definitions)))


def _is_metadata(definition: Definition) -> bool:
    """Custom sections that describe the whole file: they belong to the root."""
    return definition.section == SectionId.CUSTOM and isinstance(definition.node, n.Custom)


def _without_metadata(component: Component) -> tuple[Definition, ...]:
    return tuple(d for d in component.definitions if not _is_metadata(d))


def _fresh(definitions: Iterable[Definition]) -> list[Definition]:
    """The same definitions with items of their own, so that root and original share none."""
    renamed: dict[Item, Item] = {}
    result = []
    for definition in definitions:
        tokens = tuple(
            replace(token, item=renamed[token.item]) if isinstance(token, Ref) else token
            for token in definition.tokens
        )
        items = tuple(Item(item.sort) for item in definition.items)
        renamed.update(zip(definition.items, items, strict=True))
        result.append(replace(definition, items=items, tokens=tokens, group=None))
    return result

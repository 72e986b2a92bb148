"""Enclosing: a new root around a component, with siblings of ours beside it.

The new root imports what the original imports (same names, same types), instantiates the original
with those imports passed on by name plus the extra ones, and exports its exports under their names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field, replace

from whamm_cm.component import build
from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component, Definition, SectionId
from whamm_cm.component.items import Item, Ref, Sort
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import WeaveError
from whamm_cm.weave.instance_types import InstanceTypeEditor
from whamm_cm.weave.interface import Interface
from whamm_cm.weave.report_export import report_export

#: Definitions that mean the same wherever they stand.
_STRUCTURED = (
    n.AliasExport, n.FuncDef, n.RecordDef, n.VariantDef, n.ListDef, n.MapDef, n.TupleDef,
    n.FlagsDef, n.EnumDef, n.OptionDef, n.ResultDef, n.OwnDef, n.BorrowDef, n.StreamDef,
    n.FutureDef, n.PrimDef, n.InstanceTypeDef, n.ComponentTypeDef,
)  # fmt: skip


def import_closure(component: Component) -> list[Definition]:
    """The imports of ``component`` with the definitions they need, in their order."""
    wanted: set[Definition] = set()
    stack = [d for d in component.definitions if isinstance(d.node, n.Import)]
    while stack:
        definition = stack.pop()
        if definition not in wanted:
            wanted.add(definition)
            stack.extend(component.definition_of(item) for item in definition.refs())
    return [d for d in component.definitions if d in wanted]


def in_order(definitions: Sequence[Definition]) -> list[Definition]:
    """The same, each behind what it refers to and otherwise where it stood: an import that had to
    be completed may speak of one that is new, or of one that stood behind it.

    Raises WeaveError where two refer to each other.
    """
    makers = {item: d for d in definitions for item in d.items}
    result: list[Definition] = []
    begun, done = set[Definition](), set[Definition]()
    stack = list(reversed(definitions))
    while stack:
        definition = stack[-1]
        needed = [makers[item] for item in definition.refs() if item in makers]
        needed = [d for d in needed if d not in done]
        if definition in done or not needed:
            stack.pop()
            if definition not in done:
                done.add(definition)
                result.append(definition)
        elif definition in begun:
            raise WeaveError(
                "the imports the sink needs would have to refer to each other; use --sink host"
            )
        else:
            begun.add(definition)
            stack.extend(reversed(needed))
    return result


@dataclass(slots=True)
class Outer:
    """The definitions of the new root while it is put together, with the original's items."""

    component: Component
    definitions: list[Definition] = field(default_factory=list)

    @classmethod
    def around(cls, component: Component) -> Outer:
        return cls(component, import_closure(component))

    def use(self, interface: Interface) -> None:
        """Put ``interface`` where the import it replaces stood, or behind the last import;
        :func:`enclose` moves it further up if an import above speaks of its types."""
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
    definitions = [*in_order(outer.definitions), nested, instance]
    definitions += _Exports(original, instance.item, definitions).run()
    passed = [build.alias_export(instance.item, name, Sort.FUNC) for name in flushes]
    if passed:
        definitions += (*passed, *report_export([alias.item for alias in passed]))
    definitions += (d for d in original.definitions if _is_metadata(d))
    return Component(tuple(_fresh(definitions)))


@dataclass(slots=True)
class _Exports:
    """The exports of the new root.

    What is exported may only speak of types that are exported themselves, and that means the new
    root's exports of them, not those of the instance.  So the types are written once more, as far
    as they have a structure, and functions are exported with the type the original gave them.
    """

    original: Component
    instance: Item
    present: list[Definition]
    out: list[Definition] = field(default_factory=list)
    have: set[Item] = field(default_factory=set)
    names: dict[Item, str] = field(default_factory=dict)

    def run(self) -> list[Definition]:
        self.have.update(item for d in self.present for item in d.items)
        exports = [d for d in self.original.definitions if isinstance(d.node, n.Export)]
        for definition in exports:
            node = definition.node
            assert isinstance(node, n.Export)
            if node.item.sort == Sort.TYPE:
                self.names.setdefault(node.item, node.name.name)
        for definition in exports:
            if definition.item not in self.have:
                self._export(definition)
        return self.out

    def _export(self, definition: Definition) -> None:
        node = definition.node
        assert isinstance(node, n.Export)
        self.have.add(definition.item)
        if node.item.sort == Sort.TYPE and all(map(self._need, definition.refs())):
            self.out.append(definition)
            return
        alias = build.alias_export(self.instance, node.name.name, node.item.sort)
        type_ = self._type(node)
        named = (
            definition.substitute({node.item: alias.item})
            if node.type is not None and type_ is not None
            else build.export(node.name, alias.item, type_)
        )
        self.out += (alias, replace(named, items=definition.items))

    def _type(self, node: n.Export) -> Item | None:
        """The type to export something as, if it has to be said."""
        if node.type is not None:
            type_ = node.type.item
            return type_ if type_ is not None and self._need(type_) else None
        if not self.names or not self.original.defines(node.item):
            return None
        made = self.original.definition_of(node.item).node
        if isinstance(made, n.InlineExports):
            return self._instance_type(made)
        return self._lifted_type(node.item)

    def _lifted_type(self, func: Item) -> Item | None:
        made = self.original.definition_of(func).node
        if not isinstance(made, n.Canon) or made.type is None or not self._need(made.type):
            return None
        return made.type

    def _instance_type(self, bag: n.InlineExports) -> Item | None:
        """The type of an instance put together of types and functions of this component, if those
        speak of types that it does not export itself."""
        items = {item for _, item in bag.exports}
        if all(self._exported(item) <= items for item in items):
            return None
        editor = InstanceTypeEditor()
        for name, item in bag.exports:
            if item.sort == Sort.TYPE and self._need(item):
                editor.export_type(name.name, editor.outer(item))
                continue
            type_ = self._lifted_type(item) if item.sort == Sort.FUNC else None
            if type_ is None:
                return None
            editor.export_func_type(name.name, editor.outer(type_))
        definition = editor.to_definition()
        self.out.append(definition)
        return definition.item

    def _exported(self, item: Item) -> set[Item]:
        """The exports of types that the type of a lifted function speaks of."""
        found, stack, seen = set[Item](), [item], set[Item]()
        while stack:
            item = stack.pop()
            if item in seen or not self.original.defines(item):
                continue
            seen.add(item)
            node = self.original.definition_of(item).node
            if isinstance(node, n.Export):
                found.add(item)
            elif isinstance(node, n.Canon) and node.type is not None:
                stack.append(node.type)
            elif isinstance(node, _STRUCTURED):
                stack.extend(self.original.definition_of(item).refs())
        return found

    def _need(self, item: Item) -> bool:
        """Have ``item``, a type (or what one is an alias of), in the new root."""
        if item in self.have:
            return True
        definition = self.original.definition_of(item)
        node = definition.node
        if isinstance(node, n.Export) and item.sort == Sort.TYPE:
            self._export(definition)
            return True
        if isinstance(node, _STRUCTURED) and all(map(self._need, definition.refs())):
            self.out.append(definition)
        elif item in self.names:
            alias = build.alias_export(self.instance, self.names[item], Sort.TYPE)
            self.out.append(replace(alias, items=(item,)))
        else:
            return False
        self.have.add(item)
        return True


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

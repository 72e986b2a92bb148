"""The symbolic component: an ordered list of definitions that refer to items, never to indices.

A transform inserts, drops or moves definitions and substitutes references; the encoder numbers
items by position when it writes, so renumbering cannot go wrong.  Items must be defined before they
are used (``ir.check`` says where they are not).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field, replace

from whamm_cm.component.items import Item, Ref, Token
from whamm_cm.component.nodes import Node
from whamm_cm.dataclass import dataclass
from whamm_cm.wasm.module import CoreModule


class SectionId:
    """Section ids of a component (Binary.md, "Component Definitions")."""

    CUSTOM, CORE_MODULE, CORE_INSTANCE, CORE_TYPE, COMPONENT, INSTANCE = range(6)
    ALIAS, TYPE, CANON, START, IMPORT, EXPORT, VALUE = range(6, 13)
    #: Sections that hold exactly one definition without a count.
    SINGLE = frozenset((CUSTOM, CORE_MODULE, COMPONENT, START))


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """A section of the input; neighbours of one group are written as one section again.

    The widths are the LEB128 lengths the input used for the section's size and count.
    """

    size_width: int = 1
    count_width: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Definition:
    """One definition.  ``tokens`` are its bytes with references (empty for nested components and
    core modules, whose bytes are in ``node``); ``items`` the index space entries it adds.

    ``node`` says what was decoded.  A definition with substituted references keeps the node of the
    original: nodes describe the input, tokens the output.
    """

    section: int
    node: Node | Component | CoreModule
    items: tuple[Item, ...] = ()
    tokens: tuple[Token, ...] = ()
    group: Group | None = None
    offset: int = 0

    @property
    def item(self) -> Item:
        """The only item this definition adds."""
        (item,) = self.items
        return item

    def refs(self) -> Iterator[Item]:
        """The items used by this definition itself (not from inside a nested component)."""
        return (token.item for token in self.tokens if isinstance(token, Ref))

    def substitute(self, mapping: Mapping[Item, Item]) -> Definition:
        """The same definition with every use of a key of ``mapping`` replaced."""
        if not any(item in mapping for item in self.refs()):
            return self
        tokens = tuple(
            replace(t, item=mapping[t.item]) if isinstance(t, Ref) and t.item in mapping else t
            for t in self.tokens
        )
        return replace(self, tokens=tokens)


@dataclass(frozen=True, slots=True, eq=False)
class Component:
    """A component: its definitions in order.  ``size`` is its length in the input, 0 for new ones;
    ``path`` the nesting path (``component[2].component[0]``, empty at the root)."""

    definitions: tuple[Definition, ...]
    path: str = ""
    offset: int = 0
    size: int = 0
    _index: dict[Item, Definition] = field(default_factory=dict, repr=False)

    def definition_of(self, item: Item) -> Definition:
        """The definition of this component that adds ``item``; KeyError if it is another's."""
        if not self._index:
            self._index.update((i, d) for d in self.definitions for i in d.items)
        return self._index[item]

    def defines(self, item: Item) -> bool:
        try:
            self.definition_of(item)
        except KeyError:
            return False
        return True

    def with_definitions(self, definitions: tuple[Definition, ...]) -> Component:
        return replace(self, definitions=definitions, _index={})


def walk(component: Component) -> Iterator[Component]:
    """``component`` and every component nested in it, outermost first."""
    stack = [component]
    while stack:
        current = stack.pop()
        yield current
        nested = [d.node for d in current.definitions if isinstance(d.node, Component)]
        stack.extend(reversed(nested))


def transform(component: Component) -> Component:
    """The identity transform, rebuilt from the inside out: the base case of every weave."""
    definitions = tuple(
        replace(d, node=transform(d.node)) if isinstance(d.node, Component) else d
        for d in component.definitions
    )
    return component.with_definitions(definitions)

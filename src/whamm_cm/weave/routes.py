"""Which imports of the root a function imported somewhere inside comes from.

Names may change on the way: ``instantiate`` hands any function over as any import.  A component
instantiated several times may be given different things each time, so there can be several answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from whamm_cm.ir import nodes as n
from whamm_cm.ir.component import Component, walk
from whamm_cm.ir.items import Item
from whamm_cm.weave.program import Program
from whamm_cm.wit.provenance import provenance

#: Steps from one component to the one around it, all questions together.
MAX_STEPS = 500_000

#: An import's name and the exports to take from it.
Path: TypeAlias = tuple[str, ...]


@dataclass(slots=True)
class Routes:
    """Answers :meth:`outside` for one component tree."""

    root: Component
    #: By identity of a component: where it is instantiated, and the arguments by name.
    uses: dict[int, list[tuple[Component, dict[str, Item]]]] = field(default_factory=dict)
    known: dict[tuple[int, Path], frozenset[Path]] = field(default_factory=dict)
    steps: int = 0

    @classmethod
    def of(cls, program: Program) -> Routes:
        routes = cls(program.root)
        for component in walk(program.root):
            for definition in component.definitions:
                node = definition.node
                if isinstance(node, n.Instantiate):
                    target = program.definition(program.follow(node.component)).node
                    if isinstance(target, Component):
                        use = component, dict(node.args)
                        routes.uses.setdefault(id(target), []).append(use)
        return routes

    def outside(self, component: Component, path: Path) -> frozenset[Path]:
        """The imports of the root, with exports to take, that import ``path`` of ``component`` is.

        Empty when it is always another component's, the component is never instantiated, or the
        answer would take more than MAX_STEPS.
        """
        asked = id(component), path
        if asked not in self.known:
            self.known[asked] = self._search(component, path)
        return self.known[asked]

    def _search(self, component: Component, path: Path) -> frozenset[Path]:
        found: set[Path] = set()
        seen: set[tuple[int, Path]] = set()
        stack = [(component, path)]
        while stack and self.steps < MAX_STEPS:
            current, names = stack.pop()
            if (id(current), names) in seen:
                continue
            seen.add((id(current), names))
            if current is self.root:
                found.add(names)
                continue
            for outer, args in self.uses.get(id(current), ()):
                self.steps += 1
                given = args.get(names[0])
                source = None if given is None else _source(outer, given, names[1:])
                if source is not None:
                    stack.append((outer, source))
        return frozenset() if self.steps >= MAX_STEPS else frozenset(found)


def _source(component: Component, item: Item, rest: Path) -> Path | None:
    """The import of ``component`` that export ``rest`` of ``item`` is, None if it is none."""
    while True:
        origin = provenance(component, item)
        if origin.kind == "import":
            return (*origin.names, *rest)
        node = component.definition_of(origin.item).node
        if not (rest and isinstance(node, n.InlineExports)):
            return None
        exports = {name.name: it for name, it in node.exports}
        if rest[0] not in exports:
            return None
        item, rest = exports[rest[0]], rest[1:]

"""Wrappers made behind the main module that calls them, for hosts that count core instances.

A lower that the main module imports has to be there before that; what wraps it need not: the main
module gets a function that goes through a table (``agents``), and the module with the wrappers
fills the table.  That is the module which the component's exports need in any case, so all wrappers
are in one.  It only works where no code runs before the table is filled.
"""

from __future__ import annotations

from collections.abc import Sequence

from whamm_cm.analysis.program import Program
from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component, Definition, walk
from whamm_cm.component.items import Item
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import DecodeError
from whamm_cm.wasm.module import CoreModule
from whamm_cm.weave.fuse import fixup_at
from whamm_cm.weave.plan import Chosen


@dataclass(frozen=True, slots=True)
class Late:
    """``position``: of the definition in front of which the wrappers are made; ``chosen``: those
    that are called before, in the order of their ways."""

    position: int = -1
    chosen: tuple[Chosen, ...] = ()

    def number(self, definition: Definition) -> int | None:
        """Which way leads to the wrapper of that lower; None where it needs none."""
        for k, choice in enumerate(self.chosen):
            if choice.site.definition is definition:
                return k
        return None

    @classmethod
    def find(cls, program: Program, component: Component, chosen: Sequence[Chosen]) -> Late:
        """The wrappers that can be late; none where that saves nothing."""
        lowers = {c.site.definition.item: c for c in chosen if c.site.kind != "lift"}
        lifts = {c.site.definition for c in chosen if c.site.kind == "lift"}
        definitions = component.definitions
        used, first, safe = dict[Item, None](), len(definitions), True
        for position, definition in enumerate(definitions):
            if isinstance(definition.node, n.NameSection):
                continue
            wanted = [item for item in definition.refs() if item in lowers]
            ends = definition in lifts or bool(wanted) and _is_fixup(component, position)
            if ends:
                return cls(position, tuple(lowers[i] for i in used)) if used and safe else cls()
            if wanted:
                first = min(first, position)
                used.update(dict.fromkeys(wanted))
            if position >= first and _may_run(program, definition):
                safe = False
        return cls()


def _is_fixup(component: Component, position: int) -> bool:
    return fixup_at(component, position) is not None


def _may_run(program: Program, definition: Definition) -> bool:
    """Whether code may run when this is instantiated."""
    node = definition.node
    if isinstance(node, n.CoreInstantiate):
        module = program.definition(program.follow(node.module)).node
        try:
            return not isinstance(module, CoreModule) or module.start is not None
        except DecodeError:
            return True
    if isinstance(node, n.Instantiate):
        target = program.definition(program.follow(node.component)).node
        return not isinstance(target, Component) or any(
            isinstance(each.node, n.CoreInstantiate | n.Instantiate)
            for part in walk(target)
            for each in part.definitions
        )
    return False

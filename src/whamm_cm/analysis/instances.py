"""How many core instances a host has to make of a component."""

from __future__ import annotations

from whamm_cm.analysis.program import Program
from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component, Definition


def core_instances(root: Component) -> int:
    """The core modules instantiated in one instance of ``root``, nested components included, each
    as often as it is instantiated.  What is imported, or passed as an argument, is not known.

    An instance that is put together of exports has no code and takes no place in a pool.  What
    hosts make of their own for calls from one component to another (wasmtime's adapter modules: one
    for the calls to a sink of ours, more in trees of components) is not in the count, for how many
    is the host's choice.
    """
    program, known = Program.of(root), dict[Component, int]()

    def count(component: Component) -> int:
        if component not in known:
            known[component] = 0
            known[component] = sum(map(inside, component.definitions))
        return known[component]

    def inside(definition: Definition) -> int:
        if isinstance(definition.node, n.CoreInstantiate):
            return 1
        if isinstance(definition.node, n.Instantiate):
            item = next(iter(definition.refs()))  # the component, as it is written
            target = program.definition(program.follow(item)).node
            return count(target) if isinstance(target, Component) else 0
        return 0

    return count(root)

"""The export ``whamm:cm/report``: a host asks for what is still inside (``wit/report.wit``).

Every component with an agent that counts or runs a script gets a function which reports and sends.
Components hand those of their own and of their children on to the root, where one function calls
them all: from a component beside the original, for calls between a component and its own child trap
on older hosts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field

from whamm_cm.component import build
from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component, Definition, walk
from whamm_cm.component.items import Item, Sort
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.model import ProbeOptions
from whamm_cm.emit.modules import build_flush
from whamm_cm.wasm.asm import Module

INTERFACE, FLUSH = "whamm:cm/report", "flush"
_EXPORT = "whamm-cm-flush"


@dataclass(slots=True)
class Flushes:
    """The flush functions of the components woven so far, by the name each is exported under.

    ``prefix`` begins none of the names that components of the tree export themselves.
    """

    prefix: str
    names: dict[Component, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Component) -> Flushes:
        taken = {name.lower() for component in walk(root) for name in export_names(component)}
        prefix = _EXPORT
        while any(name.startswith(prefix) for name in taken):
            prefix += "-again"
        return cls(prefix)

    def exported(self, component: Component, own: Sequence[Item]) -> Iterator[Definition]:
        """Exports of ``own``, flush functions in what ``component`` has become."""
        names = self.names.setdefault(component, [])
        for item in own:
            number = len(names) + 1
            names.append(self.prefix if number == 1 else f"{self.prefix}{number}")
            yield build.export_plain(names[-1], item)

    def aliased(self, component: Component, instance: Item) -> list[Definition]:
        """Aliases of what an instance of ``component`` exports."""
        names = self.names.get(component, ())
        return [build.alias_export(instance, name, Sort.FUNC) for name in names]


def export_names(component: Component) -> Iterator[str]:
    for definition in component.definitions:
        if isinstance(definition.node, n.Export):
            yield definition.node.name.name


def is_exported(component: Component) -> bool:
    """Whether ``component`` has an export of the name already."""
    return INTERFACE in export_names(component)


def own_flush(
    agent: Item, emit: Item, unit: Item | None, options: ProbeOptions
) -> tuple[list[Definition], Item]:
    """A component function that reports and sends what ``agent`` holds."""
    module = build.core_module(build_flush(options))
    way = build.core_inline_exports([("emit", emit)])
    args = [("agent", agent), ("probe", way.item)]
    if unit is not None:
        args.append(("script", unit))
    instance = build.core_instantiate(module.item, args)
    lifted, func = _lifted(instance.item)
    return [module, way, instance, *lifted], func


def _lifted(instance: Item) -> tuple[list[Definition], Item]:
    alias = build.alias_core_export(instance, FLUSH, Sort.CORE_FUNC)
    type_ = build.func_type((), None)
    lift = build.canon_lift(alias.item, type_.item)
    return [alias, type_, lift], lift.item


def report_export(flushes: Sequence[Item]) -> list[Definition]:
    """The export of the root; several functions are called from a component of their own."""
    definitions: list[Definition] = []
    flush = flushes[0]
    if len(flushes) > 1:
        fan = build.nested_component(_fan(len(flushes)))
        args = [(_import(k), item) for k, item in enumerate(flushes)]
        instance = build.instantiate(fan.item, args)
        alias = build.alias_export(instance.item, FLUSH, Sort.FUNC)
        definitions += (fan, instance, alias)
        flush = alias.item
    bag = build.inline_exports([(FLUSH, flush)])
    return [*definitions, bag, build.export_plain(INTERFACE, bag.item)]


def _import(number: int) -> str:
    return f"f{number}"


def _fan(count: int) -> Component:
    """Imports ``count`` functions, and exports one that calls them in order."""
    module, lowers = Module(), []
    definitions: list[Definition] = []
    targets = [module.import_func("", _import(k)) for k in range(count)]
    f = module.func()
    for k, target in enumerate(targets):
        type_ = build.func_type((), None)
        imported = build.import_(_import(k), "func", type_.item)
        lower = build.canon_lower(imported.item)
        definitions += (type_, imported, lower)
        lowers.append((_import(k), lower.item))
        f.call(target)
    module.export_func(FLUSH, f.index)
    core = build.core_module(module.encode())
    bag = build.core_inline_exports(lowers)
    instance = build.core_instantiate(core.item, [("", bag.item)])
    lifted, func = _lifted(instance.item)
    definitions += (core, bag, instance, *lifted, build.export_plain(FLUSH, func))
    return Component(tuple(definitions))

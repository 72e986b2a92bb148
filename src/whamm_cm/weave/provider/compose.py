"""The root: an application, for each instance that was recorded a provider and a driver beside it.

They are siblings, because no component can call what is around it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from whamm_cm.component import build
from whamm_cm.component.ir import Component
from whamm_cm.component.items import Item, Sort
from whamm_cm.dataclass import dataclass
from whamm_cm.weave.provider.parts import (
    Assembly,
    driver_component,
    interface_component,
    main_component,
    provider_component,
)
from whamm_cm.weave.provider.types import Types
from whamm_cm.weave.provider.wanted import Part, Wanted, used
from whamm_cm.wit.model import Extern, InstanceItem
from whamm_cm.wit.types import FuncT, Resource, ValType

RUN, LATER_RUN = "wasi:cli/run@0.2.0", "wasi:cli/run@0.3.0"


@dataclass(frozen=True, slots=True)
class Export:
    """A function that was called; ``label`` "" if it is an export itself."""

    extern: Extern
    label: str
    type: FuncT

    @property
    def name(self) -> str:
        name = self.extern.name.name
        return f"{name}#{self.label}" if self.label else name


@dataclass(frozen=True, slots=True)
class Life:
    """The memories of the players of one instance, as core modules."""

    provider: bytes
    driver: bytes


def compose(
    app: Component, wanted: Wanted, exports: Sequence[Export], lives: Sequence[Life], text: bytes
) -> Component:
    """``exports``: those called in any of the ``lives``; ``text``: what the guest wrote."""
    return _Root(app, wanted, exports).run(lives, text)


def handed(exports: Sequence[Export], wanted: Wanted) -> list[Resource]:
    """The resources that exports are called with, by the number that drivers know them by."""
    spoken = used(Part(one.extern, one.label, one.type) for one in exports)
    return [resource for resource in wanted.kinds if resource in spoken]


class _Root(Assembly):
    def __init__(self, app: Component, wanted: Wanted, exports: Sequence[Export]) -> None:
        super().__init__()
        self.wanted, self.exports = wanted, exports
        self.resources = handed(exports, wanted)
        self.app = self.add(build.nested_component(app))
        provider = provider_component(wanted)
        self.provider = self.add(build.nested_component(provider.component))
        self.interfaces = {
            extern.name.name: self._interface(extern, provider.names)
            for extern in wanted.externs
            if isinstance(extern.entity, InstanceItem)
        }
        called = [(export.name, export.type) for export in exports]
        component, self.types = driver_component(called, self.resources, wanted)
        self.driver = self.add(build.nested_component(component))

    def _interface(
        self, extern: Extern, names: dict[ValType, str]
    ) -> tuple[Item, list[tuple[str, Sort]]]:
        parts = [part for part in self.wanted.parts if part.extern is extern]
        component, listed = interface_component(parts, self.wanted, names)
        return self.add(build.nested_component(component)), listed

    def run(self, lives: Sequence[Life], text: bytes) -> Component:
        played = [(f"play{number}", self._life(life)) for number, life in enumerate(lives)]
        nested = self.add(
            build.nested_component(main_component(len(lives), text, self.wanted.is_async))
        )
        main = self.add(build.instantiate(nested, played))
        run = self._alias(main, "run", Sort.FUNC)
        name = LATER_RUN if self.wanted.is_async else RUN
        self.export(name, self.add(build.inline_exports([("run", run)])))
        self.export("replay", self._alias(main, "replay", Sort.FUNC))
        return self.component()

    def _alias(self, instance: Item, name: str, sort: Sort) -> Item:
        return self.add(build.alias_export(instance, name, sort))

    def _life(self, life: Life) -> Item:
        """One instance of the application with what plays to it; what has it played."""
        data = self.add(build.core_module(life.provider))
        provider = self.add(build.instantiate(self.provider, [("data", data)]))
        app = self.add(build.instantiate(self.app, self._imports(provider)))
        args = [("data", self.add(build.core_module(life.driver)))]
        own: dict[Resource, Item] = {}
        for number, resource in enumerate(self.resources):
            kind = self.wanted.kinds[resource]
            own[resource] = self._alias(provider, f"r{kind}", Sort.TYPE)
            args.append((f"r{number}", own[resource]))
            args.append((f"make{number}", self._alias(provider, f"make{kind}", Sort.FUNC)))
        for name in ("made", "pump", "settle") if self.wanted.ends else ("made",):
            args.append((name, self._alias(provider, name, Sort.FUNC)))
        args += [(f"t{number}", item) for number, item in enumerate(self._named(own))]
        instances: dict[str, Item] = {}
        for number, export in enumerate(self.exports):
            args.append((f"e{number}", self._export(app, export, instances)))
        driver = self.add(build.instantiate(self.driver, args))
        return self._alias(driver, "play", Sort.FUNC)

    def _imports(self, provider: Item) -> list[tuple[str, Item]]:
        known: dict[str, Item] = {}

        def alias(name: str, sort: Sort) -> Item:
            if name not in known:
                known[name] = self._alias(provider, name, sort)
            return known[name]

        found: list[tuple[str, Item]] = []
        for name, (component, listed) in self.interfaces.items():
            args = [(each, alias(each, sort)) for each, sort in listed]
            found.append((name, self.add(build.instantiate(component, args))))
        for part in self.wanted.parts:
            if part.label:
                continue
            if isinstance(part.what, FuncT):
                item = alias(self.wanted.number(part), Sort.FUNC)
            elif isinstance(part.what, Resource):
                item = alias(f"r{self.wanted.kinds[part.what]}", Sort.TYPE)
            else:
                item = self._type(part.what, alias)
            found.append((part.name, item))
        return found

    def _type(self, t: ValType, alias: Callable[[str, Sort], Item]) -> Item:
        """A type that the application imports by itself."""
        resources = {
            resource: alias(f"r{kind}", Sort.TYPE) for resource, kind in self.wanted.kinds.items()
        }
        return Types(self.definitions, lambda t, item: item, resources).item(t)

    def _named(self, own: dict[Resource, Item]) -> list[Item]:
        """The types that a driver imports, in its order."""
        found: list[Item] = []

        def named(_: ValType, item: Item) -> Item:
            found.append(item)
            return item

        types = Types(self.definitions, named, own)
        for export in self.exports:
            types.func(export.type)
        return found

    def _export(self, app: Item, export: Export, instances: dict[str, Item]) -> Item:
        name = export.extern.name.name
        if not export.label:
            return self._alias(app, name, Sort.FUNC)
        if name not in instances:
            instances[name] = self._alias(app, name, Sort.INSTANCE)
        return self._alias(instances[name], export.label, Sort.FUNC)

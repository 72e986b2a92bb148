"""What can be said about a component without running it: parts, interface, sites, makers.

Pure and free of text: ``cli`` shows the facts, a gate may judge them.  Parts are flat lists in the
order of the input; ``path`` (``component[0].module[2]``, empty for the root) tells the nesting.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field

from whamm_cm.analysis.program import Extendable, Program, given_names
from whamm_cm.analysis.reach.standing import Standing
from whamm_cm.analysis.site import Site
from whamm_cm.analysis.sites import find_sites
from whamm_cm.analysis.stamp import stamp_of
from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component, walk
from whamm_cm.component.items import Item, Ref
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import DecodeError
from whamm_cm.wasm.cursor import Cursor
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.producers import Producer, read_producers
from whamm_cm.wasm.sections import SECTION_NAMES, SectionId
from whamm_cm.wit.classes import SiteSet
from whamm_cm.wit.model import (
    Extern,
    InstanceItem,
    full_name,
    functions,
    interface_id,
    split_version,
)
from whamm_cm.wit.names import InterfaceName, func_label
from whamm_cm.wit.resolve import Resolved, resolve

_PRODUCERS = "producers"


@dataclass(frozen=True, slots=True)
class ComponentFacts:
    """One component definition.  ``instantiated`` is False when nobody can: nothing in here does,
    and it is not handed out.  ``sections``: its custom sections with the size of their content;
    ``stamp``: what a weave noted about itself, None where there was none."""

    path: str
    name: str | None
    offset: int
    size: int
    instantiated: bool
    sections: tuple[tuple[str, int], ...]
    producers: tuple[Producer, ...]
    stamp: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class ModuleFacts:
    """One core module.  ``sections``: every section with the size of its content, custom ones by
    their own name.  ``fault`` says why the rest is unknown, empty for a sound module."""

    path: str
    name: str | None
    offset: int
    size: int
    imports: int = 0
    exports: int = 0
    functions: int = 0
    sections: tuple[tuple[str, int], ...] = ()
    producers: tuple[Producer, ...] = ()
    fault: str = ""


@dataclass(frozen=True, slots=True)
class FunctionFacts:
    """A function of an imported or exported interface, or the drop of one of its resources (then
    it is not ``declared``).

    ``sites``: how many canonical definitions call or implement it; 0: nobody in here does.
    ``probes``: how many of them can carry a probe; ``reasons`` why the others cannot.
    """

    name: str
    declared: bool
    sites: int
    probes: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExternFacts:
    """An import or export of the root.  ``interface`` is empty where ``name`` is a plain one."""

    name: str
    kind: str
    interface: str
    version: str | None
    functions: tuple[FunctionFacts, ...]


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """One canonical definition; it can carry a probe when ``reason`` is empty.  ``edge``: import,
    export, inner or builtin; ``standing`` has its other names."""

    component: str
    kind: str
    edge: str
    interface: str
    version: str | None
    func: str
    reason: str
    standing: Standing = field(repr=False)

    def is_in(self, wanted: SiteSet) -> bool:
        """Whether it is selected by any of its names."""
        return wanted.selects(self.edge, self.standing.roots, self.standing.others)


@dataclass(frozen=True, slots=True)
class Facts:
    """``faults``: sentences about parts that could not be understood.  ``alone``: of a core module,
    in the component around it (``analysis.alone``)."""

    size: int
    components: tuple[ComponentFacts, ...]
    modules: tuple[ModuleFacts, ...]
    imports: tuple[ExternFacts, ...]
    exports: tuple[ExternFacts, ...]
    sites: tuple[SiteFacts, ...]
    faults: tuple[str, ...]
    alone: bool = False

    @property
    def root(self) -> ComponentFacts:
        return self.components[0]


def collect(root: Component) -> Facts:
    """The facts about a decoded component.

    Raises DecodeError where references make no sense; malformed core modules and custom sections
    are reported in ``fault`` and ``faults``.
    """
    program, resolved = Program.of(root), resolve(root)
    found = find_sites(program, resolved)
    sites = [(site, _site(site)) for site in found]
    faults: list[str] = []
    return Facts(
        size=root.size,
        components=tuple(
            _component(c.component, c.name, program.extendable, faults) for c in resolved.components
        ),
        modules=tuple(module for component in walk(root) for module in _modules(component, faults)),
        imports=_imports(resolved, sites),
        exports=_exports(resolved, sites),
        sites=tuple(facts for _, facts in sites),
        faults=tuple(faults),
    )


def _site(site: Site) -> SiteFacts:
    return SiteFacts(
        site.component.path, site.kind, site.edge, site.interface, site.version, site.func,
        site.reason, site.standing,
    )  # fmt: skip


def _component(
    component: Component, name: str | None, extendable: Extendable, faults: list[str]
) -> ComponentFacts:
    customs = [d for d in component.definitions if isinstance(d.node, n.Custom | n.NameSection)]
    sections: list[tuple[str, int]] = []
    producers: list[Producer] = []
    for definition in customs:
        node = definition.node
        assert isinstance(node, n.Custom | n.NameSection)
        title = node.name if isinstance(node, n.Custom) else "component-name"
        sections.append((title, len(node.data)))
        if title == _PRODUCERS:
            whole = sum(len(t) for t in definition.tokens if not isinstance(t, Ref))
            start = definition.offset + whole - len(node.data)
            cur = Cursor(node.data, 0, len(node.data), start, component.path)
            producers += _producers(cur, faults)
    return ComponentFacts(
        path=component.path,
        name=name,
        offset=component.offset,
        size=component.size,
        instantiated=extendable.instantiated(component) or component in extendable.blocked,
        sections=tuple(sections),
        producers=tuple(producers),
        stamp=_stamp(component),
    )


def _stamp(component: Component) -> Mapping[str, str] | None:
    stamp = stamp_of(component)
    if stamp is None:
        return None
    return {key: value for key, value in stamp.items() if isinstance(value, str)}


def _producers(cur: Cursor, faults: list[str]) -> tuple[Producer, ...]:
    try:
        return read_producers(cur)
    except DecodeError as error:
        faults.append(f"the producers section cannot be read: {error}")
        return ()


def _modules(component: Component, faults: list[str]) -> Iterable[ModuleFacts]:
    names = given_names(component)
    for definition in component.definitions:
        if isinstance(definition.node, CoreModule):
            yield module_facts(definition.node, names.get(definition.item), faults)


def module_facts(
    module: CoreModule, name: str | None = None, faults: list[str] | None = None
) -> ModuleFacts:
    """``name``: the one the component around it gives; else the module's own counts.  ``faults``
    gets what cannot be read in custom sections."""
    faults = [] if faults is None else faults
    size = len(module.data)
    try:
        producers: list[Producer] = []
        for section in module.custom_sections:
            if section.name == _PRODUCERS:
                cur = Cursor(module.data, section.content, section.end, module.offset, module.path)
                producers += _producers(cur, faults)
        return ModuleFacts(
            path=module.path,
            name=name or module.names.module,
            offset=module.offset,
            size=size,
            imports=len(module.imports),
            exports=len(module.exports),
            functions=len(module.functions),
            sections=tuple(
                (s.name if s.id == SectionId.CUSTOM else SECTION_NAMES[s.id], s.end - s.content)
                for s in module.sections
            ),
            producers=tuple(producers),
        )
    except DecodeError as error:
        return ModuleFacts(module.path, name, module.offset, size, fault=str(error))


def _extern(extern: Extern, found: tuple[FunctionFacts, ...]) -> ExternFacts:
    name = full_name(extern.name)
    interface, version = split_version(interface_id(extern.name))
    if InterfaceName.try_parse(interface) is None:
        interface = ""
    kind = type(extern.entity).__name__.removesuffix("Item").lower()
    return ExternFacts(name, kind, interface, version, found)


def _key(extern: Extern) -> tuple[str, str | None]:
    """The interface and version its sites bear; functions of the world have neither."""
    if isinstance(extern.entity, InstanceItem):
        return split_version(interface_id(extern.name))
    return "", None


_Sites = list[tuple[Site, SiteFacts]]


@dataclass(slots=True)
class _Callers:
    """Sites by the import of the root they lead to, and there by function."""

    resolved: Resolved
    found: dict[str, dict[str, list[SiteFacts]]] = field(default_factory=dict)
    keys: dict[tuple[str, str | None], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for extern in self.resolved.world.imports:
            if isinstance(extern.entity, InstanceItem):
                self.keys[_key(extern)] = extern.name.name

    def add(self, site: Site, facts: SiteFacts) -> None:
        paths = {(path[0], _label(site, path)) for path in site.standing.outside}
        if not paths and site.edge == "import":
            # Nobody instantiates it: go by the interface's name.
            name = self._import(site)
            paths = {(name, site.func)} if name is not None else set()
        for name, label in sorted(paths):
            self.found.setdefault(name, {}).setdefault(label, []).append(facts)

    def _import(self, site: Site) -> str | None:
        """The import of the root that is the interface, or else the item, of ``site``."""
        if not site.interface:
            return site.func.removesuffix(".drop") if site.kind == "resource.drop" else site.func
        return self.keys.get((site.interface, site.version))


def _label(site: Site, path: tuple[str, ...]) -> str:
    return f"{path[-1]}.drop" if site.kind == "resource.drop" else func_label(path[-1])


def _imports(resolved: Resolved, sites: _Sites) -> tuple[ExternFacts, ...]:
    """Imports by where calls go: what is imported inside may have another name there."""
    callers = _Callers(resolved)
    for site, facts in sites:
        callers.add(site, facts)
    result = []
    for extern in resolved.world.imports:
        called = callers.found.get(extern.name.name, {})
        labels = dict.fromkeys(func.label for func in functions(extern.entity))
        found = [_function(label, True, called.get(label, ())) for label in labels]
        for label in called:
            if label not in labels:
                found.append(_function(label, False, called[label]))
        result.append(_extern(extern, tuple(found)))
    return tuple(result)


def _exports(resolved: Resolved, sites: _Sites) -> tuple[ExternFacts, ...]:
    """Exports by origin: a lift may have another name inside than the root gives it."""
    by_lift: dict[Item, SiteFacts] = {
        site.definition.item: facts for site, facts in sites if site.kind == "lift"
    }
    result = []
    for extern in resolved.world.exports:
        found = []
        for func in functions(extern.entity):
            item = func.origin.item if func.origin is not None else None
            lift = by_lift.get(item) if item is not None else None
            found.append(_function(func.label, True, () if lift is None else (lift,)))
        result.append(_extern(extern, tuple(found)))
    return tuple(result)


def _function(name: str, declared: bool, sites: Iterable[SiteFacts]) -> FunctionFacts:
    known = list(sites)
    reasons = tuple(dict.fromkeys(site.reason for site in known if site.reason))
    return FunctionFacts(name, declared, len(known), sum(not s.reason for s in known), reasons)

"""What a component is made of, as far as a picture of who talks to whom shows it."""

from __future__ import annotations

from collections.abc import Mapping

from whamm_cm.analysis.program import Program
from whamm_cm.analysis.reach.analysis import reach
from whamm_cm.analysis.sites import find_sites
from whamm_cm.component.decode import MODULE_PREAMBLE, decode
from whamm_cm.component.ir import Component
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import DecodeError
from whamm_cm.trace.calls import Site
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wit.resolve import resolve


@dataclass(frozen=True, slots=True)
class Structure:
    """``sites``: every function at a boundary as records name it, and whether it is the callee's
    side of a call between components.  ``owners``: which component implements what a component
    calls by an interface.  ``modules``: names and bytes of the core modules in each component.
    Components go by what records call them."""

    sites: tuple[tuple[Site, bool], ...]
    owners: Mapping[tuple[str, str], str]
    modules: Mapping[str, tuple[tuple[str, int], ...]]


def structure_of(app: tuple[str, bytes] | None) -> Structure | None:
    """Of the component that a log is of, if that is at hand; None of a core module, too."""
    if app is None or app[1][:8] == MODULE_PREAMBLE:
        return None
    return structure(app[1], app[0])


def structure(data: bytes, what: str = "input") -> Structure:
    """Of a component.  Raises InputError for what is none."""
    root = decode(data, what)
    resolved = resolve(root)
    sites: list[tuple[Site, bool]] = []
    known: dict[tuple[str, str], str] = {}
    for site in find_sites(Program.of(root), resolved):
        if site.edge == "builtin" or site.kind == "callback":
            continue
        version, label = site.version or "", site.standing.label
        names = site.edge, site.place, site.interface, version, site.func, label
        sites.append((Site(*names), site.kind == "lift" and site.edge == "inner"))
        if site.inner is not None:
            known[site.place, site.inner.interface] = site.interface
    owners = {}
    try:
        components = reach(root, resolved).components
    except DecodeError:
        components = ()  # of a malformed core module: who implements what goes by names, then
    places = {one.path: one.place for one in components}
    for one in components:
        for imported, item in one.items():
            for provider in item.providers:
                if provider.kind == "component":
                    interface = known.get((one.place, imported.interface), imported.interface)
                    owners[one.place, interface] = places[provider.component]
    modules = {
        one.name or one.component.path: _modules(one.component) for one in resolved.components
    }
    return Structure(tuple(sites), owners, modules)


def _modules(component: Component) -> tuple[tuple[str, int], ...]:
    found = []
    for definition in component.definitions:
        module = definition.node
        if isinstance(module, CoreModule):
            name = module.names.module or module.path.rpartition(".")[2]
            found.append((name, len(module.data)))
    return tuple(found)

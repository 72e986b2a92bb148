"""What is declared and what is reachable, for a component and every component in it.

Reached from: the functions the root exports (with their realloc, callback and post-return), core
start functions, and code from outside that is linked in.  Destructors are reached from
``resource.new``: without a handle there is nothing to drop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from whamm_cm.analysis.reach.elaborate import Instances, elaborate
from whamm_cm.analysis.reach.externs import first_paths, paths
from whamm_cm.analysis.reach.model import ComponentReach, Frame, ImportReach, ItemReach, Provider
from whamm_cm.analysis.reach.values import (
    Entrance,
    Func,
    Host,
    ItemKind,
    Opaque,
    OwnResource,
    Path,
    Place,
    Unknown,
    Value,
    source,
    take,
)
from whamm_cm.analysis.reach.walk import Walk
from whamm_cm.analysis.reach.witness import frames
from whamm_cm.component.ir import Component
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import DecodeError
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wit.model import (
    Extern,
    FuncItem,
    InstanceItem,
    full_name,
    interface_id,
    split_version,
)
from whamm_cm.wit.names import func_label
from whamm_cm.wit.resolve import Resolved, ResolvedComponent, resolve

_NUMBERS = frozenset(("i32", "i64", "f32", "f64", "v128"))


@dataclass(slots=True)
class Reachability:
    """The answer of :func:`reach`.  ``components``: the root first, then as in ``resolve``."""

    components: tuple[ComponentReach, ...]
    _resolved: Resolved
    _instances: Instances
    _index: _Index
    _walk: Walk | None = field(default=None)
    _places: dict[str, list[Place]] = field(default_factory=dict)

    @property
    def root(self) -> ComponentReach:
        return self.components[0]

    def why(self, component: ComponentReach, item: ItemReach) -> tuple[Frame, ...] | None:
        """A shortest path to an item of ``component``; None when it is not reachable."""
        if self._walk is None:
            # Tables are full now, so that breadth first finds shortest paths.
            self._walk = _walk(self._instances, self._index)
            for place in self._instances.places:
                self._places.setdefault(place.component.path, []).append(place)
        walk, best = self._walk, None
        for place in self._places.get(component.path, ()):
            for path in _prefixes(item.path):
                node = walk.hits.get((id(place), path, item.kind))
                if node is not None:
                    found = frames(walk.steps, node, item, self._resolved)
                    best = found if best is None or len(found) < len(best) else best
        return best


def reach(
    root: Component, resolved: Resolved | None = None, *, alone: bool = False
) -> Reachability:
    """Analyse a decoded component.  ``alone``: it is the one around a core module, whose host
    shares tables and references with it.

    Raises DecodeError where references make no sense, for malformed core modules, and where
    components instantiate each other without end.
    """
    resolved = resolved or resolve(root)
    instances = elaborate(root)
    instances.entrances = [*_exports(resolved, instances.root), *instances.entrances]
    if alone:
        instances.entrances.append(_embedder(instances))
    index = _Index(resolved)
    walk = _walk(instances, index)
    by_component: dict[int, list[Place]] = {}
    for place in instances.places:
        by_component.setdefault(id(place.component), []).append(place)
    components = tuple(
        _component(one, by_component.get(id(one.component), []), walk, index)
        for one in resolved.components
    )
    return Reachability(components, resolved, instances, index)


def _walk(instances: Instances, index: _Index) -> Walk:
    walk = Walk(index.canonical)
    walk.run(instances.entrances, instances.places)
    return walk


def _exports(resolved: Resolved, place: Place) -> Iterator[Entrance]:
    """The functions of the root's world: what an ascribed type hides cannot be called."""
    for extern in resolved.world.exports:
        for path, entity in paths(extern):
            if isinstance(entity, FuncItem):
                value = _at(place.exports.get(path[0]), path[1:], place)
                yield Entrance("export", place, path, [("export", value)])


def _embedder(instances: Instances) -> Entrance:
    """The host of a core module: it may call whatever gets into a table that it can see, or out by
    a reference."""
    core = instances.cores[-1]
    module = core.graph.module
    at = [*range(len(module.imported("table")))]
    at += [each.index for each in module.exports if each.kind == "table"]
    cells = list(dict.fromkeys(core.tables[index] for index in at))
    if _refers(module):
        cells.append(core.place.pool)
    host = Unknown(core.place, "the host", cells=cells)
    return Entrance("instantiation", core.place, (module.path,), [("instantiation", host)])


def _refers(module: CoreModule) -> bool:
    """Whether references can leave a module otherwise than in tables."""
    shared = {kind: [*range(len(module.imported(kind)))] for kind in ("func", "global", "tag")}
    for each in module.exports:
        shared.setdefault(each.kind, []).append(each.index)
    kinds = [module.global_type(index).type for index in shared["global"]]
    for index in shared["func"]:
        flat = module.func_type(index)
        kinds += [*flat.params, *flat.results]
    kinds += [kind for index in shared["tag"] for kind in module.tag_type(index).params]
    return not _NUMBERS.issuperset(kinds)


def _at(value: Value, path: Path, place: Place) -> Value:
    """Export ``path`` of what ``place`` exports or was given."""
    try:
        for name in path:
            value = take(value, name)
    except KeyError as error:
        component = place.component
        message = f"its type has an export {error} that its instance has not"
        raise DecodeError(message, component.offset, component.path) from None
    return value


@dataclass(slots=True)
class _Index:
    """Resource types by where a component imports them: one that is used elsewhere is the same."""

    resolved: Resolved
    known: dict[int, dict[Path, Path]] = field(default_factory=dict)
    worlds: dict[int, ResolvedComponent] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.worlds.update((id(c.component), c) for c in self.resolved.components)

    def resources(self, component: Component) -> dict[Path, Path]:
        """Path of each imported resource type → the first path it is imported by."""
        found = self.known.get(id(component))
        if found is None:
            world = self.worlds[id(component)].world
            found = self.known[id(component)] = first_paths(world.imports)
        return found

    def canonical(self, place: Place, path: Path) -> Path:
        return self.resources(place.component).get(path, path)


def _prefixes(path: Path) -> Iterator[Path]:
    """A function is used where all of the instance it is in was handed to code from outside."""
    return (path[:length] for length in range(len(path), 0, -1))


def _component(
    one: ResolvedComponent, places: list[Place], walk: Walk, index: _Index
) -> ComponentReach:
    imports = tuple(_import(extern, one, places, walk, index) for extern in one.world.imports)
    return ComponentReach(one.component.path, one.name, len(places), imports)


def _import(
    extern: Extern, one: ResolvedComponent, places: list[Place], walk: Walk, index: _Index
) -> ImportReach:
    resources = index.resources(one.component)
    items = []
    for path, entity in paths(extern):
        kind: ItemKind
        if isinstance(entity, FuncItem):
            kind, label = "func", func_label(path[-1])
        elif resources.get(path) == path:
            kind, label = "drop", f"{path[-1]}.drop"
        else:
            continue
        reachable = any(
            (id(place), prefix, kind) in walk.hits for place in places for prefix in _prefixes(path)
        )
        providers = dict.fromkeys(
            _provider(place, path, kind, index) for place in places if place.args is not None
        )
        items.append(ItemReach(path, kind, label, reachable, tuple(providers)))
    interface, version = "", None
    if isinstance(extern.entity, InstanceItem):
        interface, version = split_version(interface_id(extern.name))
    kind_name = type(extern.entity).__name__.removesuffix("Item").lower()
    return ImportReach(full_name(extern.name), kind_name, interface, version, tuple(items))


def _provider(place: Place, path: Path, kind: ItemKind, index: _Index) -> Provider:
    args = place.args
    value: Value = args if isinstance(args, Opaque) or args is None else args.get(path[0])
    found, hops = source(_at(value, path[1:], place))
    if isinstance(found, Host):
        outer = index.canonical(hops[-1].place, found.path) if kind == "drop" else found.path
        return Provider("host", "", outer)
    if isinstance(found, Func):
        info = index.resolved.canons[found.node.item]
        interface = f"{info.interface}@{info.version}" if info.version else info.interface
        names = (interface, info.name) if interface else (info.name,)
        return Provider("component", found.node.place.component.path, names)
    if isinstance(found, OwnResource):
        return Provider("component", found.place.component.path)
    return Provider("outside")

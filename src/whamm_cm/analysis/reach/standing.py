"""What each canonical definition stands for at the root: the one place that names functions.

Any component may call what it is given by any name: ``instantiate`` hands a function over as any
import, and an inner component need not say ``wasi:cli/environment`` to read the environment.  So a
function has two kinds of names:

- what it *stands for at the root*: the import of the root that a call ends at, or the export of the
  root by which it is called; where it stays inside, the name its own component exports it by;
- the names that components inside use for it.

Selection, redaction, classes and judgement ask here.  The instances of all components are made as
written (:mod:`whamm_cm.analysis.reach.elaborate`), so names are followed through every alias,
inline instance, argument and component passed as an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace

from whamm_cm.analysis.reach.elaborate import elaborate
from whamm_cm.analysis.reach.externs import first_paths, paths
from whamm_cm.analysis.reach.values import (
    Bag,
    Builtin,
    Entrance,
    Func,
    Host,
    OwnResource,
    Passed,
    Path,
    Place,
    Unknown,
    Value,
    source,
    take,
)
from whamm_cm.component.ir import Component
from whamm_cm.component.items import Item
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import DecodeError
from whamm_cm.wit.canons import RESOURCE_LABELS, CanonInfo
from whamm_cm.wit.model import (
    Entity,
    Extern,
    FuncItem,
    TypeItem,
    full_name,
    interface_id,
    split_version,
)
from whamm_cm.wit.names import FuncName, func_label
from whamm_cm.wit.resolve import Resolved, resolve
from whamm_cm.wit.types import Resource

#: Names of one and the same thing, the one to show first.
Names = tuple[FuncName, ...]

#: Its names, further names it goes by, and the import of the root or the lift that it is.
_Thing = tuple[Names, Names, "Path | Item | None"]


@dataclass(frozen=True, slots=True)
class Standing:
    """What one canonical definition stands for.

    ``edge``: import, export, inner, builtin (:class:`~whamm_cm.wit.canons.CanonInfo`).
    ``roots``: the names at the root, a group for each thing it stands for: more than one where its
    component is instantiated several times and given different things.  ``inner``: the name its
    component uses, None where that is the first name at the root.  ``others``: all other names it
    goes by in the component that uses it and the one that provides it.  ``outside``: the imports
    of the root, with the exports to take, that it ends at; ``lifts``: the lifts in here that it
    ends at, by the item they define.  ``escapes``: a lift that code from outside may call without
    an export of the root, for it was given it.
    """

    edge: str
    roots: tuple[Names, ...]
    inner: FuncName | None = None
    others: Names = ()
    outside: tuple[Path, ...] = ()
    lifts: tuple[Item, ...] = ()
    escapes: bool = False

    @property
    def name(self) -> FuncName:
        """The name to show; where it stands for several things, all of them in one:
        ``now|wasi:random/random@0.2.0#get-random-u64`` of the first one's interface."""
        return _together([group[0] for group in self.roots])

    @property
    def label(self) -> str:
        """The plain name of the instance it is in at the root, if that says what it implements and
        it is only one; else empty."""
        last = {group[-1].interface if len(group) > 1 else "" for group in self.roots}
        label = last.pop() if len(last) == 1 else ""
        return "" if ":" in label else label

    @property
    def names(self) -> Names:
        """Every name it goes by."""
        return (*dict.fromkeys(name for group in self.roots for name in group), *self.others)


def standings(root: Component, resolved: Resolved | None = None) -> Mapping[Item, Standing]:
    """The standing of every canonical definition, by the item it defines.

    Raises DecodeError where references make no sense, and where components instantiate each other
    more often than :data:`~whamm_cm.analysis.reach.elaborate.MAX_INSTANCES`.
    """
    resolved = resolved or resolve(root)
    instances = elaborate(root, cores=False)
    found = _Standings(resolved, _World(resolved.world.imports), instances.root)
    found.note_exports()
    found.note_escapes(instances.entrances)
    for place in instances.places:
        for item, node in place.cores.items():
            if isinstance(node, Builtin) and node.callee is not None:
                found.uses.setdefault(item, []).append(node)
    return {item: found.standing(info) for item, info in resolved.canons.items()}


@dataclass(slots=True)
class _World:
    """The imports of one component, by path."""

    externs: Iterable[Extern]
    by_name: dict[str, Extern] = field(default_factory=dict)
    entities: dict[Path, Entity] = field(default_factory=dict)
    first: dict[Path, Path] = field(default_factory=dict)
    resources: dict[int, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.first = first_paths(self.externs)
        for extern in self.externs:
            self.by_name[extern.name.name] = extern
            for path, entity in paths(extern):
                self.entities[path] = entity
                if isinstance(entity, TypeItem) and isinstance(entity.type, Resource):
                    self.resources.setdefault(id(entity.type), path)

    def names(self, path: Path, label: str) -> tuple[Names, Names]:
        """The names of what is at ``path``, and the one of the instance within an instance that it
        is in."""
        names = _names(self.by_name[path[0]], path, label)
        entity = self.entities.get(path)
        owner = None
        if isinstance(entity, FuncItem):
            owner = entity.interface
        elif isinstance(entity, TypeItem):
            owner = entity.owner
        if not owner or len(path) < 3:
            return names, ()
        return names, (FuncName(*split_version(owner), label),)


def _names(extern: Extern, path: Path, label: str) -> Names:
    """By interface and, where the instance has a plain name and says what it implements, by that
    name, too."""
    if len(path) == 1:
        return (FuncName("", None, label),)
    interface, plain = interface_id(extern.name), full_name(extern.name)
    name = FuncName(*split_version(interface), label)
    return (name,) if interface == plain else (name, FuncName(plain, None, label))


@dataclass(slots=True)
class _Standings:
    resolved: Resolved
    world: _World
    root: Place
    #: By lift and by resource definition: the names the root exports them by.
    exported: dict[Item, dict[Names, None]] = field(default_factory=dict)
    exported_resources: dict[Item, dict[Callable[[str], Names], None]] = field(default_factory=dict)
    escaped: set[Item] = field(default_factory=set)
    #: Lowers and resource built-ins of every instance, by the item their definition adds.
    uses: dict[Item, list[Builtin]] = field(default_factory=dict)
    worlds: dict[int, _World] = field(default_factory=dict)

    def note_exports(self) -> None:
        for extern in self.resolved.world.exports:
            for path, entity in paths(extern):
                value = self._exported(path)
                if isinstance(entity, FuncItem) and isinstance(value, Func):
                    names = _names(extern, path, func_label(path[-1]))
                    self.exported.setdefault(value.node.item, {})[names] = None
                elif isinstance(entity, TypeItem) and isinstance(value, OwnResource):

                    def named(op: str, extern: Extern = extern, path: Path = path) -> Names:
                        return _names(extern, path, RESOURCE_LABELS[op].format(path[-1]))

                    self.exported_resources.setdefault(value.item, {})[named] = None

    def note_escapes(self, entrances: Iterable[Entrance]) -> None:
        """What code from outside is given may be called from there."""
        given = [target for entrance in entrances for _, target in entrance.targets]
        pending = [v for code in given if isinstance(code, Unknown) for _, v in code.given]
        while pending:
            value = pending.pop()
            if isinstance(value, Passed):
                value, _ = source(value)
            if isinstance(value, Bag):
                pending += value.exports.values()
            elif isinstance(value, Func):
                self.escaped.add(value.node.item)

    def _exported(self, path: Path) -> Value:
        value = self.root.exports.get(path[0])
        try:
            for name in path[1:]:
                value = take(value, name)
        except KeyError as error:
            component = self.root.component
            message = f"its type has an export {error} that its instance has not"
            raise DecodeError(message, component.offset, component.path) from None
        return source(value)[0]

    def standing(self, info: CanonInfo) -> Standing:
        told = FuncName(info.interface, info.version, info.label)
        if info.op == "lift":
            edge = "export" if info.item in self.exported else "inner"
            made = _made(edge, self._lift(info), (told,), told)
            return replace(made, lifts=(), escapes=info.item in self.escaped)
        if info.op != "lower" and info.resource is None:
            return Standing(info.edge, ((told,),))
        found: dict[int, list[_Thing]] = {}
        for use in self.uses.get(info.item, ()):
            rank, things = self._things(info, use)
            found.setdefault(rank, []).extend(things)
        ranks = sorted(rank for rank in found if rank < len(_EDGES))
        things = [thing for rank in ranks for thing in dict.fromkeys(found[rank])]
        edge = _EDGES[ranks[0]] if ranks else info.edge
        own = self._own(info) or (told,)
        return _made(edge, things or [(own, (), None)], own, told)

    def _lift(self, lift: CanonInfo) -> list[_Thing]:
        """What it is at the root: several things where several instances of its component are
        exported, for the lift is the same in all of them."""
        own = FuncName(lift.interface, lift.version, lift.label)
        return [(names, (own,), lift.item) for names in self.exported.get(lift.item, ((own,),))]

    def _things(self, info: CanonInfo, use: Builtin) -> tuple[int, list[_Thing]]:
        """What is used, and the rank of its edge."""
        value, _ = source(use.callee)
        label = RESOURCE_LABELS.get(info.op, "{}")
        if isinstance(value, Host):
            path = self.world.first.get(value.path, value.path)
            names, more = self.world.names(path, label.format(func_label(path[-1])))
            return 0, [(names, more, path)]
        if isinstance(value, Func):
            return 1, self._lift(self.resolved.canons[value.node.item])
        if isinstance(value, OwnResource):
            rank = 2 if value.place is use.place else 1
            return rank, [(*self._own_resource(info.op, value), None)]
        return len(_EDGES), []

    def _own_resource(self, op: str, value: OwnResource) -> tuple[Names, Names]:
        entity = self.resolved.entities[value.item]
        resource = entity.type if isinstance(entity, TypeItem) else None
        assert isinstance(resource, Resource), "it was defined as one"
        label = RESOURCE_LABELS[op].format(resource.name or "resource")
        own = FuncName(*split_version(resource.owner or ""), label)
        exported = self.exported_resources.get(value.item, {})
        names = tuple(name for named in exported for name in named(op))
        return names or (own,), (own,)

    def _own(self, info: CanonInfo) -> Names:
        """The names of what its component imports, none for what it does not."""
        world = self._world(info.component)
        path: Path | None = None
        if info.origin is not None and info.origin.kind == "import":
            path = info.origin.names
        elif info.resource is not None:
            path = world.resources.get(id(info.resource))
        if path is None or path[0] not in world.by_name:
            return ()
        return _names(world.by_name[path[0]], path, info.label)

    def _world(self, component: Component) -> _World:
        found = self.worlds.get(id(component))
        if found is None:
            imports = self.resolved.component(component).world.imports
            found = self.worlds[id(component)] = _World(imports)
        return found


def _together(names: Sequence[FuncName]) -> FuncName:
    first, *more = dict.fromkeys(names)
    same = (first.interface, first.version)
    words = [
        name.func if (name.interface, name.version) == same
        else str(name) if name.interface else f"#{name.func}"
        for name in more
    ]  # fmt: skip
    return first._replace(func="|".join((first.func, *words)))


#: By rank: what leaves the root counts before what stays inside.
_EDGES = ("import", "inner", "builtin")


def _made(edge: str, things: Sequence[_Thing], own: Names, told: FuncName) -> Standing:
    """``own``: the names its component uses, the plain one of a labelled instance last; ``told``:
    that of the innermost instance it is in."""
    roots = tuple(dict.fromkeys(names for names, _, _ in things))
    known = {name for group in roots for name in group}
    more = [name for _, names, _ in things for name in names]
    others = tuple(dict.fromkeys(n for n in (*own, told, *more) if n not in known))
    called = own[-1]
    return Standing(
        edge,
        roots,
        None if called == _together([group[0] for group in roots]) else called,
        others,
        tuple(dict.fromkeys(end for _, _, end in things if isinstance(end, tuple))),
        tuple(dict.fromkeys(end for _, _, end in things if isinstance(end, Item))),
    )

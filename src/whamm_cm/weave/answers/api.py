"""A component some of whose imports are answered: in a new root, beside the component that answers.

Nobody inside can tell: each import is given as an instance with the same functions and types, some
of them the host's as before, some of the component beside.  What the host is asked for no longer is
not imported.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import field, replace

from whamm_cm.abi.faults import AbiError
from whamm_cm.component import build
from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component, Definition
from whamm_cm.component.items import Item, Sort
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.answers.model import Filtered, Reply, Wait
from whamm_cm.errors import WeaveError
from whamm_cm.weave.answers.provider import Provider
from whamm_cm.weave.answers.wishes import Wishes
from whamm_cm.weave.enclose import Outer, enclose
from whamm_cm.weave.interface import Interface
from whamm_cm.weave.provider.types import Types
from whamm_cm.wit.model import (
    AnyType,
    FuncItem,
    InstanceItem,
    TypeItem,
    interface_id,
    split_version,
)
from whamm_cm.wit.resolve import resolve
from whamm_cm.wit.types import (
    Borrow,
    FuncT,
    Named,
    Own,
    RecordT,
    Resource,
    ValType,
    VariantT,
    children,
    strip,
)


@dataclass(frozen=True, slots=True)
class Answered:
    """``root``: the component, ``main``: the one that was given, which is in it; ``functions``:
    (interface, version, function) of what the host is not asked for as it is, and whether it gives
    a part of the answer."""

    root: Component
    main: Component
    functions: tuple[tuple[str, str | None, str, bool], ...]


def answered(component: Component, wishes: Wishes) -> Answered:
    """``component`` itself, if it imports nothing that is wished for.

    Raises WeaveError for an import that cannot be answered, DecodeError for what is malformed.
    """
    if wishes == Wishes():
        return Answered(component, component, ())
    world = resolve(component).world
    entities = {extern.name.name: extern.entity for extern in world.imports}
    places = [
        _place(definition, definition.node, entity, wishes)
        for definition in component.definitions
        if isinstance(definition.node, n.Import)
        and isinstance(entity := entities[definition.node.name.name], InstanceItem)
    ]
    found = [place for place in places if place.replies]
    if not found:
        return Answered(component, component, ())
    elsewhere = {
        resource: (place.definition.item, name)
        for place in places
        if not place.replies
        for name, entity in place.entity.exports.items()
        if (resource := _resource(entity)) is not None
    }
    root = _Around(component, found, elsewhere, wishes.step).run()
    main = [d.node for d in root.definitions if isinstance(d.node, Component)][-1]
    named = tuple(
        (one.interface, one.version, func, isinstance(reply, Filtered))
        for one in found
        for func, reply in one.replies.items()
    )
    return Answered(root, main, named)


@dataclass(frozen=True, slots=True)
class _Place:
    """An import, with what is answered of it."""

    definition: Definition
    interface: str
    version: str | None
    entity: InstanceItem
    replies: dict[str, Reply]

    def type_of(self, func: str) -> FuncT:
        entity = self.entity.exports[func]
        assert isinstance(entity, FuncItem), "what is answered and asked are functions"
        return entity.type

    @property
    def hosts(self) -> Iterator[str]:
        """Functions of the host that are asked for those that are answered."""
        for reply in self.replies.values():
            if isinstance(reply, Filtered | Wait):
                yield reply.host
            if isinstance(reply, Wait):
                yield reply.now

    def stays(self, elsewhere: Container[object]) -> bool:
        """Whether the host has to have the interface; ``elsewhere``: resources that other imports
        have."""
        return any(self.hosts) or any(
            not (name in self.replies or _is_value(entity) or _resource(entity) in elsewhere)
            for name, entity in self.entity.exports.items()
        )


def _is_value(entity: object) -> bool:
    """Whether it is a type that can be written down, and no resource."""
    return isinstance(entity, TypeItem) and not isinstance(entity.type, Resource)


def _resource(entity: object) -> Resource | None:
    if isinstance(entity, TypeItem) and isinstance(entity.type, Resource):
        return entity.type
    return None


def _place(definition: Definition, node: n.Import, entity: InstanceItem, wishes: Wishes) -> _Place:
    interface, version = split_version(interface_id(node.name))
    functions = {k: e.type for k, e in entity.exports.items() if isinstance(e, FuncItem)}
    replies = {}
    for name, type_ in functions.items():
        reply = wishes.reply(interface, name, type_, frozenset(functions))
        if reply is not None:
            replies[name] = reply
    return _Place(definition, interface, version, entity, replies)


@dataclass(slots=True)
class _Around:
    """Puts the new root together; names within it are numbers, as imports may share theirs."""

    component: Component
    places: list[_Place]
    elsewhere: dict[Resource, tuple[Item, str]]
    step: int
    replies: list[tuple[str, FuncT, Reply]] = field(default_factory=list)
    hosts: dict[str, FuncT] = field(default_factory=dict)
    taken: dict[str, Resource | ValType] = field(default_factory=dict)
    args: list[tuple[str, Item]] = field(default_factory=list)

    def run(self) -> Component:
        outer = Outer.around(self.component)
        kept: dict[int, Definition] = {}
        aliases: list[Definition] = []
        for number, place in enumerate(self.places):
            if place.stays(self.elsewhere):
                kept[number] = replace(place.definition, items=(Item(Sort.INSTANCE),))
                aliases += self._ask(number, place, kept[number].item)
        for number, place in enumerate(self.places):
            host = kept[number].item if number in kept else None
            for name in place.replies:
                aliases += self._resources(place, host, place.type_of(name))
        made = [list(self._given(number, place)) for number, place in enumerate(self.places)]
        try:
            provider = Provider(self.replies, self.hosts, self.taken, self.step)
            nested = build.nested_component(provider.component())
        except AbiError as error:
            raise WeaveError(f"an answer is no value of its function's result: {error}") from error
        instance = build.instantiate(nested.item, self.args)
        outer.add(*kept.values(), *aliases, nested, instance)
        for number, place in enumerate(self.places):
            host = kept[number].item if number in kept else None
            rest = self._rest(place, host)
            outer.add(*rest.definitions)
            # Imports speak of types of others: those may not come from what imports of them itself.
            outer.definitions[:] = [
                one.substitute({place.definition.item: rest.instance})
                if isinstance(one.node, n.AliasExport)
                else one
                for one in outer.definitions
            ]
            whole = _whole(place, made[number], instance.item, rest)
            outer.use(Interface(place.definition.item, place.definition, whole))
        return enclose(outer, self.component)

    def _ask(self, number: int, place: _Place, host: Item) -> Iterator[Definition]:
        """What the component that answers imports of the host's ``place``."""
        for name in dict.fromkeys(place.hosts):
            type_, key = place.type_of(name), f"host{number}-{name}"
            self.hosts[key] = type_
            yield (alias := build.alias_export(host, name, Sort.FUNC))
            self.args.append((key, alias.item))
            for of in _named(type_):
                yield from self._take(place, host, of)

    def _resources(self, place: _Place, host: Item | None, type_: FuncT) -> Iterator[Definition]:
        """What the component that answers imports for a function's own type."""
        for of in _named(type_):
            if isinstance(of, Resource):
                yield from self._take(place, host, of)

    def _take(
        self, place: _Place, host: Item | None, of: Resource | ValType
    ) -> Iterator[Definition]:
        """The host's name for a type."""
        if of in self.taken.values():
            return
        key = f"type{len(self.taken)}"
        self.taken[key] = of
        if isinstance(of, Resource) and of in self.elsewhere:
            yield (alias := build.alias_export(*self.elsewhere[of], Sort.TYPE))
            self.args.append((key, alias.item))
            return
        for name, entity in place.entity.exports.items():
            if host is not None and isinstance(entity, TypeItem) and _bare(entity.type) is of:
                yield (alias := build.alias_export(host, name, Sort.TYPE))
                self.args.append((key, alias.item))
                return
        raise WeaveError(f"{place.interface} has a type that it does not name")

    def _given(self, number: int, place: _Place) -> Iterator[tuple[str, str]]:
        """Functions of an import that the component that answers has: (name, its name there)."""
        for name, reply in place.replies.items():
            key = f"func{len(self.replies)}"
            self.replies.append((key, place.type_of(name), _asking(reply, number)))
            yield name, key

    def _rest(self, place: _Place, host: Item | None) -> _Rest:
        """What else is in an import: of its ``host``, of another import, or written down."""
        out: list[Definition] = []
        types = Types(out, lambda _, item: item, {})
        items = {}
        for name, entity in place.entity.exports.items():
            if name in place.replies:
                continue
            resource = _resource(entity)
            if host is not None:
                out.append(build.alias_export(host, name, _sort(entity)))
            elif resource is not None:
                out.append(build.alias_export(*self.elsewhere[resource], Sort.TYPE))
            else:
                assert isinstance(entity, TypeItem), "else the import stays"
                items[name] = types.item(entity.type)  # type: ignore[arg-type]
                continue
            items[name] = out[-1].item
        bag = build.inline_exports([*items.items()])
        return _Rest((*out, bag), bag.item, items)


@dataclass(frozen=True, slots=True)
class _Rest:
    """``instance``: that with ``items`` and nothing else."""

    definitions: tuple[Definition, ...]
    instance: Item
    items: dict[str, Item]


def _whole(
    place: _Place, given: list[tuple[str, str]], answers: Item, rest: _Rest
) -> tuple[Definition, ...]:
    """What the import was, put together: the last has its item."""
    aliases = {name: build.alias_export(answers, key, Sort.FUNC) for name, key in given}
    items = rest.items | {name: alias.item for name, alias in aliases.items()}
    bag = build.inline_exports([*items.items()])
    return (*aliases.values(), replace(bag, items=place.definition.items))


def _named(t: FuncT) -> Iterator[Resource | ValType]:
    """Resources, records and variants in a function's type."""
    stack = [one for one in (t.result, *(param for _, param in t.params)) if one is not None]
    while stack:
        node = strip(stack.pop())
        if isinstance(node, Own | Borrow):
            yield node.resource
        elif isinstance(node, RecordT | VariantT):
            yield node
        stack += children(node)


def _bare(of: AnyType) -> object:
    return strip(of) if isinstance(of, Named) else of


def _asking(reply: Reply, number: int) -> Reply:
    """The same, with the names that its host functions have in the component that answers."""
    if isinstance(reply, Filtered):
        return replace(reply, host=f"host{number}-{reply.host}")
    if isinstance(reply, Wait):
        return replace(reply, host=f"host{number}-{reply.host}", now=f"host{number}-{reply.now}")
    return reply


def _sort(entity: object) -> Sort:
    if isinstance(entity, FuncItem):
        return Sort.FUNC
    return Sort.TYPE if isinstance(entity, TypeItem) else Sort.INSTANCE

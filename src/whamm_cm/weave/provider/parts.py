"""The components around an application: what answers it, what calls it, what has all played."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence

from whamm_cm.abi.flatten import core_signature
from whamm_cm.abi.layout import size
from whamm_cm.component import build
from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component, Definition
from whamm_cm.component.items import Item, Sort
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.play.base import base
from whamm_cm.emit.play.driver import Called, driver, main
from whamm_cm.emit.play.ends import EndKind
from whamm_cm.emit.play.provider import provider
from whamm_cm.weave.provider.types import NAMED, Types
from whamm_cm.weave.provider.wanted import Part, Wanted, used
from whamm_cm.wit.types import FuncT, FutureT, Resource, StreamT, ValType, strip

MAKES = (("number", "u32"),)


class Assembly:
    """A component that grows."""

    def __init__(self) -> None:
        self.definitions: list[Definition] = []

    def add(self, definition: Definition) -> Item:
        self.definitions.append(definition)
        return definition.item

    def component(self) -> Component:
        return Component(tuple(self.definitions))

    def export(self, name: str, item: Item) -> Item:
        return self.add(build.export_plain(name, item))

    def bag(self, items: Sequence[tuple[str, Item]]) -> Item:
        return self.add(build.core_inline_exports(items))

    def module(self, raw: bytes, args: Sequence[tuple[str, Item]]) -> Item:
        """An instance of a core module of ours."""
        module = self.add(build.core_module(raw))
        return self.add(build.core_instantiate(module, args))

    def core(self, instance: Item, name: str, sort: Sort = Sort.CORE_FUNC) -> Item:
        return self.add(build.alias_core_export(instance, name, sort))

    def lift(self, name: str, func: Item, type_: Item, memory: Memory | None = None) -> Item:
        options = (memory.memory, memory.realloc) if memory else ()
        return self.export(name, self.add(build.canon_lift(func, type_, *options)))


@dataclass(frozen=True, slots=True)
class Memory:
    """``data``: the instance that has the memory, ``base`` that of what allocates in it."""

    data: Item
    base: Item
    memory: Item
    realloc: Item

    @classmethod
    def imported(cls, into: Assembly) -> Memory:
        """Of a core module ``data`` that the component imports."""
        type_ = into.add(build.memory_module_type("memory"))
        module = into.add(build.import_("data", "core module", type_))
        data = into.add(build.core_instantiate(module, ()))
        below = into.module(base(), [("data", data)])
        memory = into.core(data, "memory", Sort.CORE_MEMORY)
        return cls(data, below, memory, into.core(below, "realloc"))

    @property
    def args(self) -> list[tuple[str, Item]]:
        return [("data", self.data), ("base", self.base)]


@dataclass(frozen=True, slots=True)
class Provider:
    """Imports ``data``, a core module with the memory of a player.  Exports ``f<i>`` and ``r<k>``
    for the functions and resources that are wanted, types with a name as ``names`` says,
    ``make<k>`` (number) for each kind of resource, and ``made``."""

    component: Component
    names: dict[ValType, str]


def provider_component(wanted: Wanted) -> Provider:
    into = Assembly()
    memory = Memory.imported(into)
    drop = into.core(memory.base, "drop")
    own = {resource: into.add(build.resource_type(drop)) for resource in wanted.kinds}
    resources = {
        resource: into.export(f"r{kind}", own[resource]) for resource, kind in wanted.kinds.items()
    }
    names: dict[ValType, str] = {}

    def named(t: ValType, item: Item) -> Item:
        names[t] = f"t{len(names)}"
        return into.export(names[t], item)

    types = Types(into.definitions, named, resources)
    ops = [
        (f"{op}{kind}", into.add(build.resource_op(f"resource.{op}", own[resource])))
        for resource, kind in wanted.kinds.items()
        for op in ("new", "rep")
    ]
    functions = [(name, core_signature(t, "lift")) for name, t in wanted.functions.items()]
    kinds = [EndKind(isinstance(t, FutureT), element_size(t)) for t in wanted.ends]
    args = [*memory.args, ("types", into.bag(ops))]
    if kinds:
        args += _ends(into, wanted, types, memory)
    code = into.module(provider(functions, len(own), kinds), args)
    if kinds:
        _tasks(into, code)
    for number, t in enumerate(wanted.functions.values()):
        into.lift(f"f{number}", into.core(code, f"f{number}"), types.func(t), memory)
    for part in wanted.parts:
        if not isinstance(part.what, FuncT | Resource) and isinstance(strip(part.what), NAMED):
            types.of(part.what)
    made = into.add(build.func_type((), "u32"))
    into.lift("made", into.core(code, "made"), made)
    for (resource, kind), (_, new) in zip(wanted.kinds.items(), ops[::2], strict=True):
        owned = into.add(build.own_type(resources[resource]))
        into.lift(f"make{kind}", new, into.add(build.func_type(MAKES, owned)))
    return Provider(into.component(), names)


#: Core functions of each stream or future.
_ENDS = ("new", "write", "read", "drop-writable", "drop-readable")
_TASKS = {"set-new": "waitable-set.new", "join": "waitable.join", "return": "task.return"}


def _ends(into: Assembly, wanted: Wanted, types: Types, memory: Memory) -> list[tuple[str, Item]]:
    """What a provider of streams and futures needs beside."""
    ops: list[tuple[str, Item]] = []
    for k, t in enumerate(wanted.ends):
        kind, item = "future" if isinstance(t, FutureT) else "stream", types.of(t)
        assert isinstance(item, Item)
        for op in _ENDS:
            made = build.end_op(f"{kind}.{op}", item, memory.memory, memory.realloc)
            ops.append((f"{op}{k}", into.add(made)))
    tasks = [(name, into.add(build.builtin(op))) for name, op in _TASKS.items()]
    return [("ends", into.bag(ops)), ("tasks", into.bag(tasks))]


def _tasks(into: Assembly, code: Item) -> None:
    type_ = into.add(build.func_type((), None, True))
    for name, again in (("pump", "became"), ("settle", "settled")):
        begin, callback = into.core(code, name), into.core(code, again)
        into.export(name, into.add(build.canon_task(begin, type_, callback)))


def element_size(t: StreamT | FutureT) -> int:
    return 0 if t.element is None else size(t.element)


def interface_component(
    parts: Sequence[Part], wanted: Wanted, names: Mapping[ValType, str]
) -> tuple[Component, list[tuple[str, Sort]]]:
    """Imports of what the provider exports that the ``parts`` of one interface speak of, as listed.
    Exports those under their labels: a resource and its methods must be of one component."""
    into = Assembly()
    listed: list[tuple[str, Sort]] = []

    def imported(name: str, kind: str, type_: Item | None) -> Item:
        listed.append((name, Sort[kind.upper()]))
        return into.add(build.import_(name, kind, type_))

    resources = {
        resource: imported(f"r{kind}", "type", None)
        for resource, kind in wanted.kinds.items()
        if resource in used(parts)
    }
    given = Types(into.definitions, lambda t, item: imported(names[t], "type", item), resources)
    functions = {
        part.label: imported(wanted.number(part), "func", given.func(part.what))
        for part in parts
        if isinstance(part.what, FuncT)
    }
    out: dict[Resource, Item] = {}
    shown = Types(into.definitions, lambda t, _: given.item(t), ChainMap(out, resources))
    for part in parts:
        if isinstance(part.what, FuncT):
            type_ = shown.func(part.what)
            name = n.ExternName(part.label)
            into.add(build.export(name, functions[part.label], type_))
        elif isinstance(part.what, Resource):
            named = out.get(part.what)
            item = into.export(part.label, named or resources[part.what])
            if named is None:
                out[part.what] = item  # by another name it goes in values only
        else:
            shown.name(part.what, into.export(part.label, given.item(part.what)))
    return into.component(), listed


def driver_component(
    exports: Sequence[tuple[str, FuncT]], resources: Sequence[Resource], wanted: Wanted
) -> tuple[Component, int]:
    """Imports ``data`` as the provider does, ``r<k>`` and ``make<k>`` for ``resources``, ``made``,
    ``e<j>`` for each of ``exports`` (names and types), and types ``t0`` and so on, so many as the
    answer says; ``pump`` and ``settle``, if there are streams or futures.  Exports ``play``."""
    into = Assembly()
    memory = Memory.imported(into)
    own = {
        resource: into.add(build.import_(f"r{kind}", "type", None))
        for kind, resource in enumerate(resources)
    }
    count = 0

    def named(_: ValType, item: Item) -> Item:
        nonlocal count
        count += 1
        return into.add(build.import_(f"t{count - 1}", "type", item))

    types = Types(into.definitions, named, own)
    makers = []
    for kind, resource in enumerate(resources):
        owned = into.add(build.own_type(own[resource]))
        type_ = into.add(build.func_type(MAKES, owned))
        func = into.add(build.import_(f"make{kind}", "func", type_))
        makers.append((f"make{kind}", into.add(build.canon_lower(func))))
    called, lowered = [], []
    for number, (name, type_of) in enumerate(exports):
        func = into.add(build.import_(f"e{number}", "func", types.func(type_of)))
        lower = build.canon_lower(func, memory.memory, realloc=memory.realloc)
        lowered.append((f"e{number}", into.add(lower)))
        called.append(Called(name, core_signature(type_of, "lower"), type_of.result))
    code = into.module(
        driver(called, len(own), bool(wanted.ends)),
        [
            *memory.args, ("types", into.bag(makers)), ("exports", into.bag(lowered)),
            ("provider", into.bag(_provided(into, wanted))),
        ],
    )  # fmt: skip
    type_ = into.add(build.func_type((), None, wanted.is_async))
    into.lift("play", into.core(code, "play"), type_)
    return into.component(), count


def _provided(into: Assembly, wanted: Wanted) -> list[tuple[str, Item]]:
    """What a driver asks of the provider, lowered; ``pump`` goes on beside it."""
    func = into.add(build.import_("made", "func", into.add(build.func_type((), "u32"))))
    found = [("made", into.add(build.canon_lower(func)))]
    if wanted.ends:
        type_ = into.add(build.func_type((), None, True))
        for name in ("pump", "settle"):
            func = into.add(build.import_(name, "func", type_))
            lower = build.canon_lower(func, is_async=name == "pump")
            found.append((name, into.add(lower)))
    return found


def main_component(lives: int, text: bytes, is_async: bool) -> Component:
    """Imports ``play0`` and so on, one for each instance.  Exports ``run`` as commands do, and
    ``replay``, which returns the text."""
    into = Assembly()
    type_ = into.add(build.func_type((), None, is_async))
    lowered = []
    for number in range(lives):
        func = into.add(build.import_(f"play{number}", "func", type_))
        lowered.append((f"play{number}", into.add(build.canon_lower(func))))
    code = into.module(main(lives, text), [("lives", into.bag(lowered))])
    memory = into.core(code, "memory", Sort.CORE_MEMORY)
    result = into.add(build.result_type(None, None))
    into.lift("run", into.core(code, "run"), into.add(build.func_type((), result, is_async)))
    replay = into.core(code, "replay")
    lifted = into.add(
        build.canon_lift(replay, into.add(build.func_type((), "string", is_async)), memory)
    )
    into.export("replay", lifted)
    return into.component()

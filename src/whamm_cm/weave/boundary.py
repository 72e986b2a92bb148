"""Boundary interposition in one component: wrappers behind ``canon lower``, before ``canon lift``.

The definitions are walked once, in order.  A lower waits until something uses it; then one probe
module takes every lower and lift that can be had at that point (the definitions they need are
brought forward when that is harmless), so an ordinary component gets one probe module before its
main module and one after.  Nothing but core functions is replaced: handles, memories, types,
imports and exports stay what they were.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import field, replace
from typing import Protocol

from whamm_cm.analysis.program import Program
from whamm_cm.analysis.site import Owned
from whamm_cm.component import build
from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component, Definition
from whamm_cm.component.items import Item, Sort
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.context import CONTEXT
from whamm_cm.emit.intervene import hands_over, may_allocate, may_drop
from whamm_cm.emit.model import ProbeOptions, Wrapper
from whamm_cm.emit.modules import build_probe
from whamm_cm.emit.probe import PROBE
from whamm_cm.wasm.types import MemoryType
from whamm_cm.weave.agents import WAY, Slots, agent_module
from whamm_cm.weave.fuse import SINK, Fixup, Shim, find_shim, fixup_at, linked, relaxed
from whamm_cm.weave.last_words import LastWords
from whamm_cm.weave.late import Late
from whamm_cm.weave.libs.guard import Guard, Guarded
from whamm_cm.weave.libs.model import Functions
from whamm_cm.weave.near import ENV, NearSink
from whamm_cm.weave.outlet import BLOCK_ENCODING, Supply
from whamm_cm.weave.plan import Added, Chosen
from whamm_cm.weave.report_export import own_flush
from whamm_cm.weave.wrappers import wrappers_of

#: Definitions that may be brought forward: they only name things (the order of imports is free), or
#: make what is the same wherever it is made (a resource type, once its destructor exists).
_PURE = (
    n.AliasExport, n.AliasCoreExport, n.AliasOuter, n.FuncDef, n.RecordDef, n.VariantDef, n.ListDef,
    n.MapDef, n.TupleDef, n.FlagsDef, n.EnumDef, n.OptionDef, n.ResultDef, n.OwnDef, n.BorrowDef,
    n.StreamDef, n.FutureDef, n.PrimDef, n.InstanceTypeDef, n.ComponentTypeDef, n.CoreTypeDef,
    n.Import, n.ResourceDef,
)  # fmt: skip


class ScriptParts(Protocol):
    """What a component gets for a script."""

    def front(
        self,
        agent: Item,
        emit: Item | None,
        chunked: bool,
        libraries: Functions,
        guard: Item | None,
        now: Item | None,
        context: Item | None,
        wall: Item | None,
    ) -> tuple[list[Definition], Item]:
        """The definitions that make the script unit, and its instance."""

    @property
    def guarded(self) -> bool:
        """Whether what runs inside of allocators must know that it does."""

    @property
    def returns(self) -> dict[Definition, tuple[str, ...]]:
        """What the core functions of lifts return."""

    def instantiates(self, definition: Definition) -> bool:
        """Whether this instantiates a core module that is woven."""

    def instantiated(self, definition: Definition, unit: Item) -> Iterable[Definition]:
        """The same with the unit as an argument, and what goes behind it."""


@dataclass(slots=True)
class Weaver:
    """Weaves one component.  ``edit`` maps each other definition to what it becomes (nested
    components, instantiations that pass the extra imports on)."""

    program: Program
    component: Component
    chosen: Sequence[Chosen]
    options: ProbeOptions
    supply: Supply
    added: Added
    edit: Callable[[Definition, Supply], Iterable[Definition]]
    script: ScriptParts | None = None
    last_words: LastWords = field(default_factory=LastWords)
    #: For a function that reports and sends on request; None for no such function.
    flush: ProbeOptions | None = None

    out: list[Definition] = field(default_factory=list)
    mapping: dict[Item, Item] = field(default_factory=dict)
    done: set[Definition] = field(default_factory=set)
    waiting: set[Item] = field(default_factory=set)
    lifts: dict[Definition, dict[Item, Item]] = field(default_factory=dict)
    wrapped: set[Definition] = field(default_factory=set)
    agent: Item | None = None
    emit: Item | None = None
    now: Item | None = None
    #: What ``build.context`` makes, where the probes know tasks.
    context: tuple[Item, ...] = ()
    sampling: list[tuple[str, Item]] = field(default_factory=list)
    unit: Item | None = None
    guard: Guard | None = None
    bound: bool = False
    flushes: list[Item] = field(default_factory=list)
    #: A module of the component that the agent becomes one with.
    shim: Shim | None = None
    slots: Slots = field(default_factory=Slots)
    #: Where in the table the functions belong that write late returns.
    due_at: dict[Definition, int] = field(default_factory=dict)
    late: Late = field(default_factory=Late)
    #: What the sink's module is given, until it has been instantiated.
    sink_env: list[tuple[str, Item]] = field(default_factory=list)

    def run(self) -> Component:
        self.out.extend(self.supply.front)
        if self.script is not None and (self.supply.libraries or self.script.guarded):
            self.guard = Guard()
        self.shim = self._find_shim()
        self._find_late()
        self._import()
        by_definition = {c.site.definition: c for c in self.chosen}
        for position, definition in enumerate(self.component.definitions):
            if definition in self.done:
                continue
            waited = self.waiting and not self.waiting.isdisjoint(definition.refs())
            if waited or position == self.late.position:
                self._probe(fixup=self._fixup_at(position))
                if definition in self.done:
                    continue
            if self.shim is not None and definition is self.shim.instance:
                self._ensure_agent()
                continue
            choice = by_definition.get(definition)
            if choice is not None and _is_lift(choice) and definition not in self.wrapped:
                self._probe(choice)
            self._put(definition, choice)
        if self.flush is not None and self.agent is not None and self.emit is not None:
            definitions, flush = own_flush(self.agent, self.emit, self.unit, self.flush)
            self.out += definitions
            self.flushes.append(flush)
            self.added.core_modules += 1
        return self.component.with_definitions(tuple(self.out))

    def _put(self, definition: Definition, choice: Chosen | None) -> None:
        self.done.add(definition)
        mapping = self._guarded(definition)
        if choice is None:
            for edited in self._edited(definition):
                self.out.append(edited.substitute(mapping))
        elif _is_lift(choice):
            self.out.append(definition.substitute(mapping | self.lifts[definition]))
        else:
            self.out.append(definition.substitute(mapping))
            if definition not in self.wrapped:
                self._wait(definition)

    def _wait(self, lower: Definition) -> None:
        """The lower is there, and its wrapper is not; nor can it be when what calls it is made, if
        it is late."""
        way = self.late.number(lower)
        if way is None:
            self.waiting.add(lower.item)
            return
        self._ensure_agent()
        assert self.agent is not None
        alias = build.alias_core_export(self.agent, f"{WAY}{way}", Sort.CORE_FUNC)
        self.out.append(alias)
        self.mapping[lower.item] = alias.item

    def _guarded(self, definition: Definition) -> dict[Item, Item]:
        """What replaces items in ``definition``: besides the ``mapping``, what the canonical ABI
        calls where the component may not call a library."""
        found = self._guards(definition)
        if self.guard is None or not found:
            return self.mapping
        if any(each.func not in self.guard.wrapped for each in found):
            self._guard([each for d in self.component.definitions for each in self._guards(d)])
        return self.mapping | {each.func: self.guard.wrapped[each.func] for each in found}

    def _guards(self, definition: Definition) -> list[Guarded]:
        """What the canonical ABI calls for this where the component may not call a library."""
        node = definition.node
        if self.guard is None or self.script is None or not isinstance(node, n.Canon):
            return []
        realloc, after = node.options.realloc, node.options.post_return
        memory = None if node.options.memory is None else self.program.memory(node.options.memory)
        is64 = isinstance(memory, MemoryType) and memory.is64
        pointer, returned = "i64" if is64 else "i32", self.script.returns.get(definition)
        found = []
        if realloc is not None:
            found.append(Guarded(realloc, (pointer,) * 4, (pointer,)))
        if after is not None and returned is not None:
            found.append(Guarded(after, tuple(returned), ()))
        return found

    def _guard(self, functions: Iterable[Guarded]) -> None:
        """Wrap those that can be had now, all by one module."""
        assert self.guard is not None
        self._ensure_agent()
        assert self.agent is not None
        wanted = {each.func: each for each in functions if each.func not in self.guard.wrapped}
        having = [each for func, each in wanted.items() if self._bring([func])]
        targets = [self.mapping.get(each.func, each.func) for each in having]
        added = self.guard.wrap(having, targets, self.agent)
        self.out += added
        self.added.count(added)

    def _edited(self, definition: Definition) -> Iterable[Definition]:
        if definition in self.last_words.instances:
            self._ensure_agent()
            assert self.agent is not None
            return (self.last_words.instantiated(definition, self.agent),)
        if definition in self.last_words.modules:
            return (self.last_words.edited(definition),)
        fixups = () if self.shim is None else self.shim.fixups or ()
        if self.slots.size and definition in fixups:
            return (relaxed(definition),)
        if self.script is None or not self.script.instantiates(definition):
            return self.edit(definition, self.supply)
        self._ensure_agent()
        assert self.unit is not None
        return self.script.instantiated(definition, self.unit)

    def _find_shim(self) -> Shim | None:
        if not self.chosen and self.script is None:
            return None
        shim = find_shim(self.program.root, self.component)
        return shim if shim is not None and self._untouched(shim.module, shim.instance) else None

    def _find_late(self) -> None:
        """Which wrappers are made late, and what the table is for."""
        options = self.options
        if self.supply.near is not None and options.multi_memory and self.script is None:
            self.late = Late.find(self.program, self.component, self.chosen)
        shim = 0 if self.shim is None else self.shim.size
        first = max(shim, options.last_at + 1 if options.last else 0)
        ways = tuple(choice.site.signature for choice in self.late.chosen)
        due = [choice.site.definition for choice in self.chosen if choice.is_late]
        self.slots = Slots(options.last, options.last_at, first, ways, len(due))
        self.due_at = {definition: self.slots.due + k for k, definition in enumerate(due)}
        if self.slots.size and self.shim is not None and self.shim.fixups is None:
            self.shim = None

    def _import(self) -> None:
        """Have the imports of ours, as far as they can be had already."""
        for imported in self.supply.imports:
            if imported.replaces is None:
                self.out += imported.definitions
            else:
                self._bring([imported.replaces.item])

    def _fixup_at(self, position: int) -> Fixup | None:
        """The fixup that the probes can be one with which stand before what comes next."""
        fixup = fixup_at(self.component, position)
        if fixup is None or not self._untouched(fixup.instance, *fixup.before):
            return None
        needs = {item for d in (fixup.instance, *fixup.before) for item in d.refs()}
        needs.difference_update(item for d in fixup.before for item in d.items)
        there = all(self.program.definition(item) in self.done for item in needs)
        return fixup if there else None

    def _untouched(self, *definitions: Definition) -> bool:
        """Whether nothing else changes these."""
        return all(
            d not in self.done
            and not (self.script is not None and self.script.instantiates(d))
            and [*self.edit(d, self.supply)] == [d]
            for d in definitions
        )

    def _probe(self, must: Chosen | None = None, fixup: Fixup | None = None) -> None:
        """Insert a probe module for everything that can be wrapped here, one with the ``fixup`` if
        there is one."""
        batch = [c for c in self.chosen if c.site.definition not in self.wrapped]
        batch = [c for c in batch if c is must or self._reachable(c)]
        groups = self._by_memory(batch)
        for memories, members in groups:
            self._insert(memories, members, fixup if len(groups) == 1 else None)
        self.waiting.clear()

    def _reachable(self, choice: Chosen) -> bool:
        """Bring forward what the wrapper needs; False when that must wait for its turn."""
        definition = choice.site.definition
        if _is_lift(choice):
            needs = [i for i in _lift_needs(choice) if i is not None]
            if not self.waiting.isdisjoint(needs):
                return False  # it lifts what another wrapper of this module will stand for
            return self._bring(needs)
        if definition in self.done:
            return True
        types = [one.item for one in choice.site.owned] if choice.probes else []
        if not self._bring([*definition.refs(), *types]):
            return False
        self._put(definition, choice)
        return True

    def _bring(self, items: list[Item]) -> bool:
        """Make ``items`` available now; all of them or none."""
        plan = forward(self.program, self.component, items, self.done, self.waiting)
        for definition in plan or ():
            self._put(definition, None)
        return plan is not None

    def _by_memory(
        self, batch: list[Chosen]
    ) -> list[tuple[list[tuple[Item, MemoryType]], list[Chosen]]]:
        """One group, or one per guest memory where a module may have only one."""
        groups: dict[Item | None, list[Chosen]] = {}
        for choice in batch:
            key = None if self.options.multi_memory else choice.site.memory
            groups.setdefault(key, []).append(choice)
        if len(groups) > 1 and None in groups:
            loose = groups.pop(None)
            next(iter(groups.values()))[:0] = loose
        result = []
        for members in groups.values():
            memories: dict[Item, MemoryType] = {}
            for choice in members:
                memory = choice.site.memory
                if memory is not None and memory not in memories:
                    memory_type = self.program.memory(memory)
                    assert isinstance(memory_type, MemoryType)
                    memories[memory] = memory_type
            result.append((list(memories.items()), members))
        return result

    def _insert(
        self,
        memories: list[tuple[Item, MemoryType]],
        members: list[Chosen],
        fixup: Fixup | None,
    ) -> None:
        self._ensure_agent()
        indices = {item: i for i, (item, _) in enumerate(memories)}
        wrappers: list[Wrapper] = []
        callees: list[Item] = []
        outputs: list[tuple[Chosen, Item]] = []
        for choice in members:
            due = self.due_at.get(choice.site.definition, 0)
            for wrapper, callee in wrappers_of(choice, indices, due):
                wrappers.append(wrapper)
                callees.append(callee)
                outputs.append((choice, callee))
        bag = [(f"m{i}", item) for i, (item, _) in enumerate(memories)]
        bag += [
            (f"f{k}", self.mapping.get(item, item) if _is_lift(choice) else item)
            for k, (choice, item) in enumerate(outputs)
        ]
        ways = (("emit", self.emit), ("now", self.now), *zip(CONTEXT, self.context, strict=False))
        bag += [*((name, item) for name, item in ways if item is not None), *self.sampling]
        for k, wrapper in enumerate(wrappers):
            realloc = outputs[k][0].site.realloc
            if may_allocate(wrapper) and realloc is not None:
                bag.append((f"r{k}", self.mapping.get(realloc, realloc)))
            if may_drop(wrapper):
                bag += self._drops(k, outputs[k][0].site.owned)
            answer = _answer(outputs[k][0])
            if hands_over(wrapper) and answer is not None:
                bag.append((f"t{k}", self.mapping.get(answer, answer)))
        bind = self.options.last and not self.bound
        self.bound |= bind
        near = self.supply.near if self.sink_env else None
        late = self._late_slots(choice for choice, _ in outputs)
        sink = PROBE if near is None else SINK
        wasm = build_probe(wrappers, [m for _, m in memories], self.options, bind, sink, late)
        exports = {item: f"w{k}" for k, item in enumerate(callees)}
        wasm = linked(wasm, fixup, exports, None if near is None else near.code)
        instance = self._instance(wasm, bag, fixup)
        for k, (choice, callee) in enumerate(outputs):
            alias = build.alias_core_export(instance, f"w{k}", Sort.CORE_FUNC)
            self.out.append(alias)
            self._wrapped(choice, callee, alias.item)
        self.added.wrappers += len(wrappers)
        self.added.probe_modules += 1

    def _drops(self, k: int, given: Iterable[Owned]) -> Iterator[tuple[str, Item]]:
        """What drops the handles that a wrapper may be given for good."""
        for i, one in enumerate(given):
            item = one.item
            if one.name:
                alias = build.alias_export(item, one.name, Sort.TYPE)
                self.out.append(alias)
                item = alias.item
            drop = build.resource_drop(item)
            self.out.append(drop)
            yield f"d{k}.{i}", drop.item

    def _late_slots(self, members: Iterable[Chosen]) -> dict[int, int]:
        """Where in the table the late wrappers of a module belong, by their number in it."""
        ways = (self.late.number(choice.site.definition) for choice in members)
        first = self.slots.first
        return {k: first + way for k, way in enumerate(ways) if way is not None}

    def _instance(self, wasm: bytes, bag: list[tuple[str, Item]], fixup: Fixup | None) -> Item:
        """The instance of a probe module that is given ``bag``, and is one with the ``fixup``."""
        assert self.agent is not None
        inline = build.core_inline_exports(bag)
        args = [("agent", self.agent), ("probe", inline.item)]
        if self.unit is not None:
            args.append(("script", self.unit))
        args += self._take_env()
        self.added.core_modules += 1
        module = build.core_module(wasm)
        if fixup is None:
            instance = build.core_instantiate(module.item, args)
        else:
            self.out += (d.substitute(self.mapping) for d in fixup.before)
            self.done.update((fixup.instance, *fixup.before))
            instance = build.core_instantiate(module.item, (*args, *fixup.args))
            instance = replace(instance, items=fixup.instance.items)
        self.out += (module, inline, instance)
        if len(args) > 2 and args[-1][0] == ENV:
            self._emit_of(instance.item)
        return instance.item

    def _take_env(self) -> list[tuple[str, Item]]:
        """The sink's argument of the module it is in, if that is the next one."""
        if not self.sink_env:
            return []
        env = build.core_inline_exports(self.sink_env)
        self.out.append(env)
        self.sink_env = []
        return [(ENV, env.item)]

    def _emit_of(self, sink: Item) -> None:
        alias = build.alias_core_export(sink, "emit", Sort.CORE_FUNC)
        self.out.append(alias)
        self.emit = alias.item

    def _wrapped(self, choice: Chosen, callee: Item, wrapper: Item) -> None:
        key = choice.site.definition
        self.wrapped.add(key)
        if _is_lift(choice):
            self.lifts.setdefault(key, {})[callee] = wrapper
        else:
            self.mapping[callee] = wrapper

    def _ensure_agent(self) -> None:
        if self.agent is not None:
            return
        self.agent = self._agent()
        if self.supply.emit is not None:
            memory = build.alias_core_export(self.agent, "memory", Sort.CORE_MEMORY)
            encoding = BLOCK_ENCODING[self.supply.block]
            lower = build.canon_lower(self.supply.emit, memory.item, encoding)
            self.out += (memory, lower)
            self.emit = lower.item
        asked = (self.supply.now, self.supply.wall)
        if asked != (None, None):
            for imported in self.supply.imports:
                if imported.replaces is not None:
                    self._bring([imported.replaces.item])
        lowered = [None if item is None else build.canon_lower(item) for item in asked]
        self.out += (lower for lower in lowered if lower is not None)
        self.now, wall = (None if lower is None else lower.item for lower in lowered)
        if self.options.context:
            found = build.context(self.options.context, self.options.threads)
            self.out += found
            self.context = tuple(each.item for each in found)
        lowers, self.sampling = self.supply.sampling.lowered(self.agent)
        self.out += lowers
        if self.supply.near is not None:
            self._place_sink(self.supply.near)
        if self.script is not None:
            chunked = self.supply.block == "chunks"
            guard = None if self.guard is None else self.agent
            getter = self.context[0] if self.context else None
            front, self.unit = self.script.front(
                self.agent, self.emit, chunked, self.supply.libraries, guard, self.now, getter,
                wall,
            )  # fmt: skip
            self.out += front
        self.added.agents += 1

    def _place_sink(self, near: NearSink) -> None:
        """What the sink imports, and itself where it cannot wait for a probe module."""
        assert self.agent is not None
        memory = build.alias_core_export(self.agent, "memory", Sort.CORE_MEMORY)
        definitions, self.sink_env = near.lowered(self.agent, memory.item, self.now)
        self.out += (memory, *definitions)
        if self.script is None and self.options.multi_memory:
            return
        module = build.core_module(near.code)
        instance = build.core_instantiate(module.item, self._take_env())
        self.out += (module, instance)
        self.added.core_modules += 1
        self._emit_of(instance.item)

    def _agent(self) -> Item:
        """The instance of the agent."""
        module = build.core_module(
            agent_module(
                self.options, self.supply.near, self.shim, self.slots, self.guard is not None
            )
        )
        if self.shim is None:
            instance = build.core_instantiate(module.item, ())
            self.added.core_modules += 1
        else:
            instance = self.shim.instance.substitute({self.shim.module.item: module.item})
            self.done.add(self.shim.instance)
        self.out += (module, instance)
        return instance.item


def forward(
    program: Program,
    component: Component,
    items: Sequence[Item],
    done: Collection[Definition] = (),
    waiting: Collection[Item] = (),
) -> list[Definition] | None:
    """The definitions of ``component`` that can be brought forward to make ``items`` available
    behind those ``done``, in order; None when that is not harmless."""
    plan: list[Definition] = []
    seen: set[Definition] = set()
    stack: list[tuple[Item, bool]] = [(item, False) for item in reversed(items)]
    while stack:
        item, expanded = stack.pop()
        home, definition = program.home.get(item, (component, None))
        if definition is None or home is not component:
            continue
        if definition in done or (definition in seen and not expanded):
            continue
        if expanded:
            plan.append(definition)
            continue
        if not isinstance(definition.node, _PURE) or item in waiting:
            return None
        seen.add(definition)
        stack.append((item, True))
        stack.extend((ref, False) for ref in definition.refs())
    return plan


def _is_lift(choice: Chosen) -> bool:
    return choice.site.kind == "lift"


def _lift_needs(choice: Chosen) -> tuple[Item | None, ...]:
    node = choice.site.definition.node
    assert isinstance(node, n.Canon)
    realloc = node.options.realloc if choice.probes else None
    return node.func, node.options.callback, choice.site.memory, realloc, _answer(choice)


def _answer(choice: Chosen) -> Item | None:
    return None if choice.answer is None else choice.answer.definition.item

"""The weave: decode, choose sites, interpose, enclose, stamp, check, encode."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from whamm_cm.agent.table import known_table, packed_table
from whamm_cm.analysis.instances import core_instances
from whamm_cm.analysis.program import Program
from whamm_cm.analysis.sites import find_sites
from whamm_cm.analysis.stamp import SITES, STAMP, stamp_of, table_of
from whamm_cm.component import build
from whamm_cm.component import nodes as n
from whamm_cm.component.check import check
from whamm_cm.component.decode import decode
from whamm_cm.component.encode import Piece, pieces
from whamm_cm.component.ir import Component, Definition
from whamm_cm.component.items import Item, Sort
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.model import ProbeOptions, Sampling
from whamm_cm.errors import InternalError, WeaveError
from whamm_cm.wasm.moved import Moved
from whamm_cm.weave.agents import free_mark
from whamm_cm.weave.boundary import Weaver, forward
from whamm_cm.weave.enclose import Outer, enclose
from whamm_cm.weave.interface import Interface
from whamm_cm.weave.last_words import LastWords
from whamm_cm.weave.near import NearSink
from whamm_cm.weave.orders import Orders, may_last
from whamm_cm.weave.otel import CONTEXTS
from whamm_cm.weave.outlet import Block, Supply
from whamm_cm.weave.plan import LIVE_NS, Added, Chosen, Plan
from whamm_cm.weave.report_export import INTERFACE, Flushes, is_exported, report_export
from whamm_cm.weave.sampling import SHARE, sampling_of, sharing, ways
from whamm_cm.weave.sinks import (
    logging_wiring,
    otel_wiring,
    relay_wiring,
    sink_component,
    stderr_wiring,
)
from whamm_cm.weave.supply import (
    OWN_CLOCK,
    OWN_WALL,
    SINK_INTERFACE,
    Names,
    clock,
    host_emit,
    import_names,
    own_clock,
    pass_on,
    threaded,
)
from whamm_cm.weave.wiring import SinkOptions, SinkWiring

if TYPE_CHECKING:  # the language is slow to import, and most weaves have no script
    from whamm_cm.weave.scripting import Scripting
    from whamm_cm.weave.wall import Wall

#: What LIVE_NS is for brief instances, from their first record on: most are over before.
BRIEF_NS = 200_000_000
#: Those of the sinks that draw random bits to name their runs.
_NAMING = ("stderr", "logging", *CONTEXTS)
#: Components of ours that take the blocks, beside the enclosed original.
_SINKS = {"stderr": stderr_wiring, "logging": logging_wiring, "relay": relay_wiring}
_SINKS |= dict.fromkeys(CONTEXTS, otel_wiring)


@dataclass(frozen=True)
class Woven:
    """The outcome: the component, the site table its records are read with (packed), and what was
    added."""

    component: Component
    packed: bytes
    added: Added
    #: Where the code of core modules with probes came from, by their bytes (``Plan.embedded``).
    moved: Mapping[bytes, Moved] = field(default_factory=dict)
    #: The plan's ``mark``, or another where a memory of the input has that.
    mark: int | None = None

    @property
    def table(self) -> bytes:
        """The site table, unpacked anew each time: it may be large."""
        return known_table(self.packed)

    @property
    def wasm(self) -> bytes:
        """The component as bytes, encoded anew each time."""
        return b"".join(self.pieces)

    @cached_property
    def pieces(self) -> list[Piece]:
        """The same bytes in pieces, most of them views of the input."""
        return pieces(self.component)


def weave(data: bytes, plan: Plan, what: str = "input") -> Woven:
    """Weave ``plan`` into the component ``data``; same input, same bytes.

    Raises InputError/DecodeError for something that is no component, WeaveError when the plan
    cannot be carried out on it, InternalError when the result fails the IR checker.
    """
    root = decode(data, what)
    if not plan.force and stamp_of(root) is not None:
        raise WeaveError(
            f"{what} has already been instrumented by whamm-cm; start from the original,"
            " or use --force to weave again"
        )
    if plan.sink in CONTEXTS:  # a span begins and ends at a time
        plan = replace(plan, timed=True)
    if plan.scripts is not None:
        from whamm_cm.weave.unit import beating  # slow to import

        plan = beating(plan)
    woven = _Weave(root, plan, what).run(plan.origin or hashlib.sha256(data).hexdigest())
    faults = check(woven.component)
    if faults:
        raise InternalError(f"the woven component is unsound: {faults[0]}; please report this")
    return woven


@dataclass(slots=True)
class _Weave:
    root: Component
    plan: Plan
    what: str
    added: Added = field(default_factory=Added)
    scripting: Scripting | None = None
    wall: Wall | None = None
    moved: dict[bytes, Moved] = field(default_factory=dict)

    def run(self, origin: str) -> Woven:
        if self.plan.mark is not None:
            self.plan = replace(self.plan, mark=free_mark(self.root, self.plan.mark))
        program = Program.of(self.root)
        sites = find_sites(program)
        orders = Orders(self.plan, self.added)
        if self.plan.scripts is not None:
            from whamm_cm.weave.scripting import Scripting

            self.scripting = Scripting.of(self.plan, program, orders.builder, self.added)
            self.scripting.match(sites)
            orders.scripting = self.scripting
        chosen = orders.choose(program, sites)
        table = orders.builder.to_bytes()
        component = self.root
        if chosen or (self.scripting is not None and self.scripting.woven):
            whole = self.plan.lines == "json" or self.plan.sink in CONTEXTS
            within = table if whole else orders.builder.to_bytes(named=False)
            component = self._transform(program, chosen, within)
        else:
            table = table_of(self.root) or table  # what an earlier weave sends is still its own
        old, packed = table_of(self.root) == table, packed_table(table)
        del table
        component = self._stamped(component, origin, None if old else packed)
        self.added.instances_before = core_instances(self.root)
        self.added.instances_after = after = core_instances(component)
        limit = self.plan.max_core_instances
        if limit is not None and after > limit:
            raise WeaveError(
                f"the woven component has {after} core instances, more than"
                f" --max-core-instances {limit}; select fewer functions with --trace"
            )
        if self.scripting is not None:
            self.moved.update(self.scripting.moved)
        return Woven(component, packed, self.added, self.moved, self.plan.mark)

    def _transform(
        self, program: Program, chosen: dict[Component, list[Chosen]], table: bytes
    ) -> Component:
        several = len(chosen) > 1
        sink = "relay" if several and self.plan.sink == "host" else self.plan.sink
        block: Block | None = "chunks" if sink in _SINKS else "string" if sink == "host" else None
        if self.plan.sink == "host" and SINK_INTERFACE in import_names(self.root):
            raise WeaveError(
                f"{self.what} imports {SINK_INTERFACE} already, which records leave by; start from"
                " a component that is not instrumented, or use another --sink"
            )
        needs = program.extendable.closure(set(chosen))
        libraries = [] if self.scripting is None else [*self.scripting.component_libraries()]
        names = Names.free(self.root, libraries)
        sampling = sampling_of(self.plan, several, sink in _NAMING)
        timed = self.plan.timed or (self.scripting is not None and self.scripting.clock)
        clocked = timed or (sampling is not None and sampling.clocked)
        wiring = None
        if sink in _SINKS:
            wiring = _SINKS[sink](self.root, self._sink_options(table, timed))
        if self.scripting is not None and self.scripting.wall:
            wiring, self.wall = self._wall(wiring)
            self.added.count(self.wall.definitions)
        tree = _Tree(
            program, needs, chosen, self.plan, self.added, block, several, names, clocked,
            sampling, self.scripting, self._flushes(), self._last_words(program, chosen),
            self.wall is not None,
        )  # fmt: skip
        far = wiring is not None and not self._is_near(program, chosen, wiring, clocked)
        if libraries or far:
            woven = self._enclosed(tree, wiring, clocked)
        else:
            woven, flushes = tree.weave(self.root, self._root_supply(wiring, clocked, sampling))
            if flushes:
                woven = _appended(woven, report_export(flushes))
        return woven if self.scripting is None else self.scripting.unit.finished(woven)

    def _clock(self) -> tuple[Interface, Item]:
        return own_clock(OWN_CLOCK, "now") if self.plan.own_clocks else clock(self.root)

    def _wall(self, wiring: SinkWiring | None) -> tuple[SinkWiring | None, Wall]:
        from whamm_cm.weave.wall import Wall, walled

        if not self.plan.own_clocks:
            return walled(self.root, wiring)
        interface, function = own_clock(OWN_WALL, "wall")
        return wiring, Wall(function, (interface,), ())

    def _last_words(self, program: Program, chosen: dict[Component, list[Chosen]]) -> LastWords:
        """None where a host reads what is left, or where nothing leaves."""
        plan = self.plan
        if not plan.last_words or plan.sink == "none" or plan.mark is not None:
            return LastWords()
        woven = () if self.scripting is None else self.scripting.woven
        return LastWords.find(program, chosen, woven, self.added)

    def _flushes(self) -> Flushes | None:
        """None where the root exports something else by that name."""
        if not is_exported(self.root):
            return Flushes.of(self.root)
        if self.plan.sink != "none":
            self.added.skipped.append((f"export {INTERFACE}", "the component has one already"))
        return None

    def _is_near(
        self,
        program: Program,
        chosen: dict[Component, list[Chosen]],
        wiring: SinkWiring,
        timed: bool,
    ) -> bool:
        """Whether the sink can be part of the root: nothing else emits, and what it imports can
        come before all else."""
        apart = self.plan.mark is not None or self.plan.sink in CONTEXTS
        if chosen.keys() != {self.root} or apart:
            return False
        imports = [*wiring.imports, *([self._clock()[0]] if timed else ())]
        imports += () if self.wall is None else self.wall.imports
        replaced = [each.replaces.item for each in imports if each.replaces is not None]
        return forward(program, self.root, replaced) is not None

    def _root_supply(
        self, wiring: SinkWiring | None, timed: bool, sampling: Sampling | None
    ) -> Supply:
        supply = Supply()
        if self.plan.sink == "host":
            supply.front, supply.emit = host_emit()
            supply.block = "string"
        if wiring is not None:
            supply.near, supply.imports = NearSink(wiring), wiring.imports
            supply.sampling = ways(sampling, wiring.args)
        if timed:
            imported, supply.now = self._clock()
            supply.imports += (imported,)
        if self.wall is not None:
            supply.wall = self.wall.function
            supply.imports += self.wall.imports
        return supply

    def _enclosed(self, tree: _Tree, wiring: SinkWiring | None, timed: bool) -> Component:
        """In a new root, with the ``wiring`` of a sink of ours and libraries beside it."""
        outer = Outer.around(self.root)
        for interface in () if wiring is None else wiring.imports:
            outer.use(interface)
        extra, now = [], None
        if timed:
            imported, now = self._clock()
            outer.use(imported)
            extra.append((tree.names.now, now))
        if self.wall is not None:
            for interface in self.wall.imports:
                outer.use(interface)
            extra.append((tree.names.wall, self.wall.function))
        emit = self._way_out(outer, wiring, now)
        if emit is not None:
            extra.append((tree.names.emit, emit))
        extra += self._sampling_ways(outer, tree, wiring)
        if tree.names.libraries:
            from whamm_cm.weave.libraries import beside
        for library, names in tree.names.libraries:
            placed = beside(library, self.root, names)
            outer.add(*placed.definitions)
            self.added.count(placed.definitions)
            extra += placed.functions.items()
        inner, flushes = tree.weave(self.root, tree.threaded())
        passed = []
        if tree.flushes is not None:
            inner = _appended(inner, tree.flushes.exported(self.root, flushes))
            passed = tree.flushes.names[self.root]
        return enclose(outer, inner, extra, passed)

    def _sampling_ways(
        self, outer: Outer, tree: _Tree, wiring: SinkWiring | None
    ) -> list[tuple[str, Item]]:
        """What the original gets for sampling, made in the new root."""
        given = [] if wiring is None else [*wiring.args]
        if tree.sampling is not None and tree.sampling.shared:
            definitions, share = sharing()
            outer.add(*definitions)
            self.added.count(definitions)
            given.append((SHARE, share))
        return ways(tree.sampling, given).passed(tree.names.sampling)

    def _sink_options(self, table: bytes, timed: bool) -> SinkOptions:
        plan = self.plan
        return SinkOptions(
            table, plan.nonce, plan.lines == "json", timed, plan.mark, plan.show_secrets,
            plan.samples, CONTEXTS.get(plan.sink, ""),
        )  # fmt: skip

    def _way_out(self, outer: Outer, wiring: SinkWiring | None, now: Item | None) -> Item | None:
        """``emit`` in the new root: of a sink of ours, else the host's if that is the sink."""
        if wiring is not None:
            sink = build.nested_component(sink_component(wiring))
            args = wiring.args
            if wiring.wants_now and now is not None:
                args += (("now", now),)
            instance = build.instantiate(sink.item, args)
            emit = build.alias_export(instance.item, "emit", Sort.FUNC)
            outer.add(sink, instance, emit)
            self.added.core_modules += 2
            return emit.item
        if self.plan.sink != "host":
            return None
        definitions, item = host_emit()
        outer.add(*definitions)
        return item

    def _stamped(self, component: Component, origin: str, table: bytes | None) -> Component:
        """``table`` is packed, None where it is there already."""
        sections = [build.custom(STAMP, self.plan.stamp(origin))]
        if table is not None:
            sections.append(build.custom(SITES, table))
        return component.with_definitions((*component.definitions, *sections))


@dataclass(slots=True)
class _Tree:
    """Weaves a component and, through ``edit``, everything nested in it."""

    program: Program
    needs: set[Component]
    chosen: dict[Component, list[Chosen]]
    plan: Plan
    added: Added
    block: Block | None
    several: bool
    names: Names
    timed: bool
    sampling: Sampling | None
    scripting: Scripting | None
    flushes: Flushes | None
    last_words: LastWords
    wall: bool

    def weave(self, component: Component, supply: Supply) -> tuple[Component, list[Item]]:
        """The woven component, and functions in it that report and send."""
        chosen = self.chosen.get(component, [])
        replaced = {i.replaces: i for i in supply.imports if i.replaces is not None}

        def edit(definition: Definition, supply: Supply) -> Iterable[Definition]:
            if definition in replaced:
                return replaced[definition].definitions
            node = definition.node
            if isinstance(node, Component):
                return (replace(definition, node=self._nested(node)),)
            if isinstance(node, n.Instantiate) and self._needy(node):
                return (pass_on(definition, supply, self.names),)
            if self.scripting is not None:
                return (self.scripting.edited(definition),)
            return (definition,)

        script = self.scripting
        if script is not None and component not in script.components:
            script = None
        options = self._options(component, chosen, script)
        weaver = Weaver(
            self.program, component, chosen, options, supply, self.added, edit, script,
            self.last_words, self._flush_options(options),
        )  # fmt: skip
        woven = weaver.run()
        passed = [alias for each in component.definitions for alias in self._passed(each)]
        return _appended(woven, passed), [*weaver.flushes, *(alias.item for alias in passed)]

    def _flush_options(self, options: ProbeOptions) -> ProbeOptions | None:
        if self.flushes is None or not (options.count_n or options.script):
            return None
        return replace(options, push_empty=self.several)

    def _passed(self, definition: Definition) -> list[Definition]:
        """Aliases of the flush functions of an instance."""
        node = definition.node
        if self.flushes is None or not isinstance(node, n.Instantiate) or not self._needy(node):
            return []
        target = self.program.definition(self.program.follow(node.component)).node
        assert isinstance(target, Component)
        return self.flushes.aliased(target, definition.item)

    def threaded(self) -> Supply:
        return threaded(self.block, self.timed, self.names, self.sampling, self.wall)

    def _nested(self, component: Component) -> Component:
        needy = component in self.needs
        supply = self.threaded() if needy else Supply()
        woven, flushes = self.weave(component, supply)
        if self.flushes is None:
            return woven
        return _appended(woven, self.flushes.exported(component, flushes))

    def _needy(self, node: n.Instantiate) -> bool:
        target = self.program.definition(self.program.follow(node.component)).node
        return isinstance(target, Component) and target in self.needs

    def _interval(self) -> int:
        if not self.plan.live:
            return 0
        return BRIEF_NS if self.plan.brief else LIVE_NS

    def _options(
        self, component: Component, chosen: Sequence[Chosen], scripting: Scripting | None
    ) -> ProbeOptions:
        counts = [c.number for c in chosen if c.action == "count"]
        return ProbeOptions(
            timed=self.plan.timed,
            multi_memory=self.plan.multi_memory,
            flush_each=self.plan.flush_each,
            emit=self.block is not None,
            chunked=self.block == "chunks",
            push_empty=self.several and any(_pushes(c) for c in chosen),
            max_string=self.plan.max_string,
            whole=bool(self.plan.recorded),
            max_list=self.plan.max_list,
            interval_ns=self._interval(),
            count_base=min(counts, default=0),
            count_n=len(counts),
            script=None if scripting is None else scripting.unit.link,
            mark=self.plan.mark,
            brief=self.plan.brief,
            beats=self.plan.interval_ns > 0 and self.plan.sink != "none",
            last=bool(self.last_words.instances),
            last_at=self.last_words.slot,
            context=next((c.context for c in chosen), ""),
            due=any(c.is_late for c in chosen),
            logged=any(c.logs for c in chosen),
            threads=any(c.role == "spawn" for c in chosen),
            lasting=any(c.role == "spawn" or may_last(c.site) for c in chosen),
            sampling=self.sampling,
            alone=scripting is not None and component in scripting.alone,
        )


def _appended(component: Component, definitions: Iterable[Definition]) -> Component:
    return component.with_definitions((*component.definitions, *definitions))


def _pushes(choice: Chosen) -> bool:
    """Whether this is an export whose return sends on what other components have recorded."""
    return choice.site.kind == "lift" and not choice.relayed

"""Scripts in a component tree: which core modules and boundary functions their probes are in.

One script unit serves the whole tree; every component with a probe gets an instance of it, so that
boundary and opcode probes of one component instance share their variables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from itertools import chain
from typing import Any

from whamm_cm.agent.sites import SiteTableBuilder
from whamm_cm.agent.variables import Cells
from whamm_cm.analysis.guests import Guest, find_guests, modules_at
from whamm_cm.analysis.program import Program
from whamm_cm.analysis.site import Site
from whamm_cm.component import build
from whamm_cm.component import nodes as n
from whamm_cm.component.canons import COPIES
from whamm_cm.component.ir import Component, Definition
from whamm_cm.component.items import Item
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.clocks import WALL
from whamm_cm.emit.model import Called, EventProbe
from whamm_cm.emit.past import OVER, not_kept
from whamm_cm.emit.paths import acts, has_trace, mentions
from whamm_cm.errors import WeaveError
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.fold import fold
from whamm_cm.lang.intervals import BEATING, beat_of
from whamm_cm.lang.source import ScriptError, together
from whamm_cm.lang.walk import code_of, walk
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.moved import Moved
from whamm_cm.weave.asked import asks_time, calls_any
from whamm_cm.weave.lacking import Misfits
from whamm_cm.weave.libs.model import Functions, Library
from whamm_cm.weave.opcodes.emit import PUSH, GuestWeaver, WovenGuest
from whamm_cm.weave.opcodes.imports import UNIT
from whamm_cm.weave.opcodes.leftover import pure_counters
from whamm_cm.weave.opcodes.match import REASONS, Matcher
from whamm_cm.weave.opcodes.rows import Rows, variable_spec
from whamm_cm.weave.opcodes.source_values import specialised
from whamm_cm.weave.opcodes.symbols import misread
from whamm_cm.weave.plan import Added, Plan, ScriptPlan
from whamm_cm.weave.tasks import CALLS_ONLY, asks_for_task, exports, may_return, no_tasks, roles
from whamm_cm.weave.unit import ALONE, Beats, UnitBuilder, binder_module
from whamm_cm.wit.printer import handles_text
from whamm_cm.wit.types import FuncT

#: What there is none of, where a rule matches nothing.
MISSING = {
    "": "no function of the component has that side, interface, version and name",
    "task": "no asynchronous component",
    "stream": "no stream is copied like that",
    "future": "no future is copied like that",
}


def reads_clock(probe: EventProbe) -> bool:
    return mentions((probe.predicate, probe.body), "elapsed") or acts(probe.body, "delay")


@dataclass(slots=True)
class Scripting:
    """The scripts of one weave, matched against one component tree."""

    program: Program
    plan: ScriptPlan
    builder: SiteTableBuilder
    added: Added
    unit: UnitBuilder = field(init=False)
    #: What components are called.
    names: dict[Component, str] = field(default_factory=dict)
    #: By the definition of the core module.
    woven: dict[Definition, WovenGuest] = field(default_factory=dict)
    #: Slots of the table of push functions, by the ``core instantiate``.
    slots: dict[Definition, int] = field(default_factory=dict)
    instances: set[Definition] = field(default_factory=set)
    #: The modules of further instances, by their ``core instantiate``.
    copies: dict[Definition, Definition] = field(default_factory=dict)
    probes: dict[Site, tuple[EventProbe, ...]] = field(default_factory=dict)
    #: For when the tasks of an export are over: they stand elsewhere.
    later: dict[Site, tuple[EventProbe, ...]] = field(default_factory=dict)
    #: Components where probes ask for tasks.
    tasked: set[Component] = field(default_factory=set)
    #: Those where the calls of exports are the tasks.
    alone: set[Component] = field(default_factory=set)
    #: Components that need the unit.
    components: set[Component] = field(default_factory=set)
    #: What the core functions of lifts return.
    returns: dict[Definition, tuple[str, ...]] = field(default_factory=dict)
    #: Where the code of each module that was woven came from, by its bytes.
    moved: dict[bytes, Moved] = field(default_factory=dict)
    #: Why a rule does not fit streams of some type.
    misfits: dict[int, ScriptError] = field(default_factory=dict)
    #: The core modules that call, or are called, by the items of canonical definitions.
    modules: dict[Item, str] = field(default_factory=dict)
    beats: Beats | None = None
    last_words: bool = False
    #: Whether core modules may get a memory beside their own.
    multi_memory: bool = True
    #: Whether it is kept where code came from.
    origins: bool = True
    #: Whether nothing is said of rules that match nothing.
    as_whamm: bool = False

    @classmethod
    def of(cls, plan: Plan, program: Program, builder: SiteTableBuilder, added: Added) -> Scripting:
        """Those of a plan that has scripts."""
        assert plan.scripts is not None
        guests = ((guest.place, guest.module) for guest in find_guests(program)
                  if guest.instances and not guest.reason)  # fmt: skip
        scripts = specialised(plan.scripts, guests)
        added.gone += scripts.gone
        added.unmatched += scripts.unmatched
        return cls(
            program, scripts.plan, builder, added, beats=Beats.of(plan),
            last_words=plan.last_words and plan.sink != "none", multi_memory=plan.multi_memory,
            origins=plan.embedded, as_whamm=plan.compat,
        )  # fmt: skip

    def __post_init__(self) -> None:
        self.unit = UnitBuilder(self.plan, self.builder, beat=self.beats)

    @property
    def guarded(self) -> bool:
        """Whether guests may send from wherever they are, so that they must know where not to.  At
        an ``unreachable`` it does not matter: the guest traps either way."""
        sends = self.beats is not None and self.beats.interval_ns > 0 and bool(self.instances)
        return sends or asks_time(self._code()) or self.wall

    def match(self, sites: Sequence[Site]) -> None:
        """Weave the core modules and find the probes of boundary functions.

        WeaveError for what cannot be woven, ScriptError where a script does not fit a function.
        """
        for site in sites:
            self.names[site.component] = site.place
            if site.kind == "lift" and not site.reason:
                self.returns[site.definition] = site.signature.results
        self._guests()
        self._boundaries(sites)
        if self._runs_alone():
            self.components |= {
                site.component
                for site in sites
                if (site.kind, site.edge) == ("lift", "export") and not site.reason
            }
        self._find_tasks(sites)

    def _find_tasks(self, sites: Sequence[Site]) -> None:
        """Where code may ask for the task that runs, in core modules and functions, too."""
        asked = [node for node in walk(*self._code()) if asks_for_task(node)]
        anywhere = not all(isinstance(node, t.Bound) for node in asked)
        for component in self.components if asked else ():
            why = no_tasks([site for site in sites if site.component is component])
            if why == CALLS_ONLY:
                self.alone.add(component)
            elif not why and anywhere:
                self.tasked.add(component)
        if not anywhere:
            return
        kinds = {roles([s for s in sites if s.component is each])[1] for each in self.tasked}
        if len(kinds) > 1:
            raise WeaveError(
                "a script asks for tasks in components whose contexts are of different types, i32"
                " and i64; weave it into one of them at a time"
            )
        self.unit.context = next(iter(kinds), "")

    def _runs_alone(self) -> bool:
        """Whether the scripts do something even where no probe matches."""
        scripts = self.plan.scripts
        once = any(probe.package in ALONE for probe in scripts.probes)
        return once or any(
            not isinstance(stmt, t.Declare) or (stmt.variable.report and stmt.init is not None)
            for stmt in scripts.globals
        )

    @property
    def clock(self) -> bool:
        """Whether a probe reads the clock."""
        probes = chain(*self.probes.values())
        fires = beat_of(self.plan.scripts.probes)
        return bool(fires) or any(map(reads_clock, probes)) or asks_time(self._code())

    @property
    def wall(self) -> bool:
        """Whether something asks what time it is."""
        return calls_any(self._code(), WALL)

    def component_libraries(self) -> Iterator[Library]:
        """Libraries that are components, each with the functions code may call when it runs."""
        called = dict[str, dict[str, None]]()
        for node in walk(*self._code()):
            if isinstance(node, t.LibCall) and node.annotation != "static":
                called.setdefault(node.library, {})[node.function] = None
        for name, library in self.plan.libraries.items():
            if library.kind == "component" and name in called and self.components:
                yield library.only(called[name])

    def _code(self) -> Iterator[t.Stmt | t.Expr]:
        """All there may be of it in the woven component, with what did not match."""
        yield from code_of(self.plan.scripts)
        for event in chain(*self.probes.values()):
            yield from () if event.predicate is None else (event.predicate,)
            yield from event.body

    # --- core modules ---

    def _guests(self) -> None:
        scripts = self.plan.scripts
        if not scripts.probes:
            return
        self.plan.sources.modules((g.place, g.module) for g in find_guests(self.program))
        matcher = Matcher(scripts.probes, self.plan.evaluate, sources=self.plan.sources)
        counters = pure_counters(everything(scripts))
        for guest in find_guests(self.program):
            reason = guest.reason
            if not guest.instances and not reason:
                continue
            if reason:
                if any(True for _ in matcher.functions(guest.module)):
                    self.added.skipped.append((f"core module {guest.place}", reason))
                continue
            woven = self._woven(guest, guest.place, matcher, counters)
            if woven is not None:
                self._take(guest, woven)
                self._again(guest, matcher, counters)
        for (rule, why), count in sorted(matcher.skipped.items()):
            self.added.unmatched.append((rule, why, count))
        check_names(scripts, matcher)
        modules = [guest.module for guest in find_guests(self.program) if not guest.reason]
        self.added.remarks += [*map(str, misread(scripts, modules)), *self.plan.sources.gaps()]
        if not self.as_whamm:
            self.added.idle += idle(scripts, matcher.idle())

    def _woven(
        self, guest: Guest, place: str, matcher: Matcher, counters: frozenset[t.Variable]
    ) -> WovenGuest | None:
        component = self.names.get(guest.component, "")
        rows = Rows(self.builder, self.plan.scripts.names, place, component)
        weaver = GuestWeaver(
            guest.module, matcher, self.unit, rows, counters, validate=self.plan.validate,
            beats=self.beats is not None and self.beats.interval_ns > 0,
            each=self.beats is not None and self.beats.each,
            last_words=self.last_words, multi_memory=self.multi_memory, pooled=True,
            origins=self.origins,
        )  # fmt: skip
        woven = weaver.weave()
        if woven is not None and woven.moved is not None:
            self.moved[woven.wasm] = woven.moved
        return woven

    def _again(self, guest: Guest, matcher: Matcher, counters: frozenset[t.Variable]) -> None:
        """Further instances of one module in one component count for themselves: each gets a copy
        of the module, with cells of its own."""
        seen: dict[Component, int] = {}
        for component, instantiation in guest.instances:
            number = seen[component] = seen.get(component, 0) + 1
            if number == 1:
                continue
            copy = self._woven(guest, f"{guest.place}#{number}", matcher, counters)
            assert copy is not None, "it was woven before"
            self.copies[instantiation] = build.core_module(copy.wasm)
            self.added.core_sites += copy.sites
            self.added.counters += copy.counters
            self.added.core_modules += 1

    def _take(self, guest: Guest, woven: WovenGuest) -> None:
        self.woven[guest.definition] = woven
        self.added.woven_modules += 1
        self.added.core_sites += woven.sites
        self.added.counters += woven.counters
        self.added.globals = max(self.added.globals, woven.in_globals)
        self.added.dropped += [(guest.place, name) for name in woven.dropped]
        if not woven.imports:
            return
        for component, instantiation in guest.instances:
            self.components.add(component)
            self.instances.add(instantiation)
            if woven.push:
                self.slots[instantiation] = self.unit.push_slot()

    # --- boundaries ---

    def _boundaries(self, sites: Sequence[Site]) -> None:
        scripts = self.plan.scripts
        matched: set[int] = set()
        fire: set[t.Span] = set()
        misfits = Misfits.none()
        for site in sites:
            if site.edge == "builtin" and site.func not in COPIES:
                continue
            seen = as_seen(site)
            for rule in scripts.wit_rules:
                if not rule.matches(seen) or not comes_to_pass(rule, site, sites):
                    continue
                if seen.copies and not self._fits(rule, site, seen):
                    continue
                matched.add(id(rule))
                if site.reason:
                    fire.add(rule.span)
                    self.added.skipped.append((site.title, site.reason))
                    continue
                try:
                    probe = self._event(rule, site, seen)
                except ScriptError as error:
                    misfits.add(rule, error)
                    continue
                misfits.fits.add(rule.span)
                if probe is not None:
                    fire.add(rule.span)
                    self._place(site, probe, sites)
        self.added.unmatched += misfits.settle()
        self._settle(matched, fire, misfits.errors, sites)

    def _settle(
        self,
        matched: set[int],
        fire: set[t.Span],
        errors: list[ScriptError],
        sites: Sequence[Site],
    ) -> None:
        """What is wrong, or idle, in rules of which these matched and these fire somewhere."""
        scripts = self.plan.scripts
        nothing = [rule for rule in scripts.wit_rules if id(rule) not in matched]
        errors += (self.misfits[id(rule)] for rule in nothing if id(rule) in self.misfits)
        errors += misspelt(nothing, sites)
        if errors:
            raise together(errors)
        missing = {
            rule.span: REASONS["predicate"][1] if id(rule) in matched else MISSING[rule.package]
            for rule in sorted(scripts.wit_rules, key=lambda rule: id(rule) in matched)
            if rule.span not in fire
        }
        if not self.as_whamm:
            self.added.idle += idle(scripts, missing.items())

    def _fits(self, rule: t.WitRule, site: Site, seen: t.WitSite) -> bool:
        """Whether a script means what streams of that type copy; there may be several."""
        try:
            rule.at(seen)
        except ScriptError as error:
            self.misfits.setdefault(id(rule), error)
            what = handles_text(FuncT((), site.elements)).removeprefix("func() -> ")
            why = f"it is of another type than {what}" if site.elements else "it has no elements"
            self.added.unmatched.append((rule.rule, why, 1))
            return False
        return True

    def _stand(self, site: Site, probe: EventProbe) -> None:
        self.probes[site] = (*self.probes.get(site, ()), probe)
        self.components.add(site.component)

    def _place(self, site: Site, probe: EventProbe, sites: Sequence[Site]) -> None:
        """Put a probe where it fires."""
        if site.edge == "builtin":  # a read or write, which is over later
            self.tasked.add(site.component)
            self._stand(site, probe)
            return
        over = probe.mode == "end" or (site.is_async and probe.mode in OVER)
        traces = site.is_async and has_trace(probe)
        if over or traces or mentions((probe.predicate, probe.body), "task"):
            own = [each for each in sites if each.component is site.component]
            reason = no_tasks(own)
            if over:
                reason = reason or self._over(site, probe, own)
            if reason and over:
                self.added.skipped.append((site.title, reason))
                return
            if not reason:
                self.tasked.add(site.component)
            if over and site.kind == "lift":
                return
        self._stand(site, probe)

    def _over(self, site: Site, probe: EventProbe, own: Sequence[Site]) -> str:
        """Put a probe of an export where its tasks are over; or why none of that site can be."""
        called = Called(exports(own).get(site, 0), site.signature, site.params, site.ptr)
        name = not_kept(probe, called)
        if name:
            return (
                f"when an asynchronous call is over, {name} is not there any more; keep it in a map"
                " by call_id, in a before probe"
            )
        if site.kind != "lift":
            return ""
        moved = replace(probe, called=called)
        places = [each for each in own if _is_over(site, probe.mode, each) and not each.reason]
        if not places and probe.mode != "end":
            wanted = "task.return" if probe.mode == "after" else "task.cancel"
            return f"its component has no {wanted} for it"
        for place in [site] if probe.mode == "end" else places:
            self._stand(place, moved)
        self.later[site] = (*self.later.get(site, ()), moved)
        self.components.add(site.component)
        return ""

    def _event(self, rule: t.WitRule, site: Site, seen: t.WitSite) -> EventProbe | None:
        probe = rule.at(seen)
        facts = _facts(seen)
        whole = t.If(probe.predicate or t.Const(vt.BOOL, True), probe.body)
        if any(isinstance(node, t.Static) and node.name == "module" for node in walk(whole)):
            self.modules = self.modules or modules_at(self.program)
            facts["module"] = self.modules.get(site.definition.item, "")
        residual = fold(probe, facts, self.plan.evaluate)
        if residual is None:
            return None
        self.unit.announce(residual.body)
        inits: dict[t.Variable, t.Expr | None] = {}
        for node in walk(*residual.body):
            if isinstance(node, t.Declare) and node.variable.kind is t.Kind.CELL:
                inits[node.variable] = node.init
        cells: dict[t.Variable, int] = {}
        for variable, init in inits.items():
            cells[variable] = self._cell(variable, init, probe, site, cells)
        title = f"{rule.rule} at {site.title}"
        return EventProbe(rule.mode, residual.body, residual.predicate, cells, title)  # type: ignore[arg-type]

    def _cell(
        self,
        variable: t.Variable,
        init: t.Expr | None,
        probe: t.Probe,
        site: Site,
        others: Mapping[t.Variable, int],
    ) -> int:
        row = None
        if self.unit.reports(variable):
            cells = Cells()
            cells.add(fname=_function_name(site))
            spec = variable_spec(self.plan.scripts.names, variable, probe, site.place)
            row = self.builder.add_variable(spec, cells)
        return self.unit.cell(variable, init, row, 0, others)

    # --- definitions ---

    def edited(self, definition: Definition) -> Definition:
        """A core module as it is after the weave."""
        woven = self.woven.get(definition)
        if woven is None:
            return definition
        node = definition.node
        assert isinstance(node, CoreModule)
        return replace(definition, node=CoreModule(woven.wasm, path=node.path), group=None)

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
        """The script unit of one component, which comes behind the agent."""
        way = (agent, emit, chunked, libraries, guard, now, context, wall)
        definitions, unit = self.unit.front(*way)
        self.added.count(definitions)
        return definitions, unit

    def _through_table(self, definition: Definition) -> bool:
        """Whether the module that is instantiated reaches the unit through its table only."""
        node = definition.node
        assert isinstance(node, n.CoreInstantiate)
        module = self.program.definition(self.program.follow(node.module))
        return self.woven[module].tabled

    def instantiates(self, definition: Definition) -> bool:
        return definition in self.instances

    def instantiated(self, definition: Definition, unit: Item) -> Iterator[Definition]:
        """A woven module's ``core instantiate`` with the unit, and what hands over its counters."""
        node = definition.node
        assert isinstance(node, n.CoreInstantiate)
        module_item = node.module
        copy = self.copies.get(definition)
        if copy is not None:
            yield copy
            module_item = copy.item
        again = build.core_instantiate(module_item, (*node.args, (UNIT, unit)))
        yield replace(definition, tokens=again.tokens, group=None)
        slot = self.slots.get(definition)
        if slot is None:
            return
        beats = self.beats is not None and self._through_table(definition)
        module = build.core_module(binder_module(slot, PUSH, UNIT, beats))
        args = ((UNIT, unit), ("guest", definition.item))
        yield module
        yield build.core_instantiate(module.item, args)
        self.added.core_modules += 1


def everything(scripts: t.Scripts) -> Iterable[t.Stmt | t.Expr]:
    """All code of scripts that could read a global within a run of instructions.

    What is read at the entry or exit of a function, or at a boundary, is exact: runs end there.
    """
    yield from scripts.globals
    for function in scripts.functions:
        yield from function.body
    for probe in scripts.probes:
        if probe.predicate is not None:
            yield probe.predicate
        if probe.package not in ("report", "end", "func", *BEATING):
            yield from probe.body


def misspelt(rules: Iterable[t.WitRule], sites: Sequence[Site]) -> list[ScriptError]:
    """What is wrong with the names of rules that match none of these sites."""
    seen = [as_seen(site) for site in sites if site.edge != "builtin"]
    return [error for rule in rules for error in [rule.mistake(seen)] if error is not None]


def idle(scripts: t.Scripts, why: Iterable[tuple[t.Span, str]]) -> Iterator[tuple[str, str, str]]:
    """Where rules stand that match nothing, what they are, and why: not of those that may."""
    for span, reason in why:
        rule = scripts.written[span]
        if not rule.optional:
            yield rule.place, rule.text, reason


def check_names(scripts: t.Scripts, matcher: Matcher) -> None:
    """Raises ScriptError for what rules call by a name that the source does not have."""
    errors = matcher.mistakes(scripts.written)
    if errors:
        raise together(errors)


def as_seen(site: Site) -> t.WitSite:
    """A boundary function as rules and scripts see it."""
    resource, dot, _ = site.func.partition(".")
    return t.WitSite(
        direction=site.edge,
        interface=site.interface,
        version=site.version or "",
        func=site.func,
        resource=resource if dot else "",
        component=site.place,
        is_async=site.is_async,
        type=FuncT(site.params, site.result, site.is_async),
        names=site.names,
        enters=site.kind == "lift",
        copies=site.edge == "builtin" and site.func in COPIES,
        elements=site.elements,
    )


def comes_to_pass(rule: t.WitRule, site: Site, sites: Sequence[Site]) -> bool:
    """Whether what the rule waits for ever does at a function that it matches."""
    if rule.package and no_tasks(each for each in sites if each.component is site.component):
        return False
    return site.is_async or rule.mode != "cancel"


def _facts(seen: t.WitSite) -> dict[str, Any]:
    names = ("interface", "version", "func", "resource", "direction", "component", "is_async")
    return {name: getattr(seen, name) for name in names}


def _function_name(site: Site) -> str:
    version = f"@{site.version}" if site.version else ""
    return f"{site.interface}{version}#{site.func}" if site.interface else site.func


def _is_over(lift: Site, mode: str, site: Site) -> bool:
    """Whether tasks of ``lift`` may return or, by the mode, be cancelled at ``site``."""
    if mode == "after":
        return site.kind == "task.return" and may_return(lift, site)
    return mode == "cancel" and site.edge == "builtin" and site.func == "task.cancel"


def refuse_boundaries(scripts: t.Scripts) -> None:
    """WeaveError for scripts with WIT probes, where the input is a plain module."""
    for rule in scripts.wit_rules:
        if scripts.written[rule.span].optional:
            continue
        raise WeaveError(f"{rule.rule}: a plain core module has no WIT boundary to probe")

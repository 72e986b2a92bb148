"""Probes that read variables of the program's source: one for each way these are held.

A script says ``src.x``; what ``x`` is, and where, differs from place to place.  So such a probe is
checked anew for each way its variables are held at the places that it matches; what comes of that
are ordinary probes that fire at those places only (``Probe.places``).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import field, replace

from whamm_cm.analysis.dwarf import SourceLines
from whamm_cm.analysis.source import Sources
from whamm_cm.analysis.variables import SourceVariables
from whamm_cm.dataclass import dataclass
from whamm_cm.lang import tree as t
from whamm_cm.lang.source import ScriptError, listed, suggest, together
from whamm_cm.lang.src_places import NotThere, Surroundings
from whamm_cm.lang.src_types import Gone, SourceUse, SourceVariable
from whamm_cm.wasm.function import FUNCTION, RETURNS, FunctionInfo
from whamm_cm.wasm.module import CoreModule
from whamm_cm.weave.opcodes.match import Matcher, local_types
from whamm_cm.weave.opcodes.memories import numbering
from whamm_cm.weave.opcodes.points import Point
from whamm_cm.weave.plan import ScriptPlan

#: A core module by the name that messages use.
Place = tuple[str, CoreModule]
_BRANCHES = frozenset(("br", "br_if", "br_table"))
_ELSEWHERE = Gone("at another place at each way out")


@dataclass(slots=True)
class Specialised:
    """``plan`` with probes for each way variables are held; ``gone``: sentences about places where
    they are not."""

    plan: ScriptPlan
    gone: list[str] = field(default_factory=list)
    unmatched: list[tuple[str, str, int]] = field(default_factory=list)


@dataclass(slots=True)
class _Sources:
    """The variables of modules, each read when first asked for."""

    sources: Sources
    known: dict[int, tuple[CoreModule, SourceLines | None, SourceVariables | None]] = field(
        default_factory=dict
    )

    def of(self, module: CoreModule) -> tuple[SourceLines | None, SourceVariables | None]:
        if id(module) not in self.known:
            lines = self.sources.of(module)
            variables = None if lines is None else lines.variables()
            self.known[id(module)] = module, lines, variables
        return self.known[id(module)][1:]


def specialised(plan: ScriptPlan, modules: Iterable[Place]) -> Specialised:
    """What scripts are for these core modules.

    Raises ScriptError where a variable is nowhere in scope, or fits what is done with it at no
    place at all.
    """
    found = Specialised(plan)
    if not any(probe.reads for probe in plan.scripts.probes):
        return found
    given, sources = list(modules), _Sources(plan.sources)
    plan.sources.modules(given)
    probes: list[t.Probe] = []
    errors: list[ScriptError] = []
    for probe in plan.scripts.probes:
        if probe.reads is None:
            probes.append(probe)
            continue
        one = _Probe(probe, probe.reads, plan, sources)
        for place in given:
            one.look(*place)
        optional = plan.scripts.written[probe.span].optional
        errors += () if optional else one.mistakes()
        probes += one.made()
        found.gone += one.gone_notes()
        found.unmatched += one.unmatched()
    if errors:
        raise together(errors)
    found.plan = replace(plan, scripts=replace(plan.scripts, probes=tuple(probes)))
    return found


@dataclass(slots=True)
class _Way:
    """One way that variables are held: the probes for it, or why there are none."""

    probes: list[t.Probe] | ScriptError | NotThere
    places: set[tuple[int, int, int, str]] = field(default_factory=set)


@dataclass(slots=True)
class _Probe:
    """A probe on its way through all places."""

    probe: t.Probe
    source: SourceUse
    plan: ScriptPlan
    sources: _Sources
    ways: dict[Hashable, _Way] = field(default_factory=dict)
    #: Names in scope at places that were looked at, and those of the probe that were found.
    visible: dict[str, None] = field(default_factory=dict)
    in_scope: set[str] = field(default_factory=set)
    #: Places: without debug information, and where a variable is not in scope.
    bare: int = 0
    outside: int = 0
    #: Lines by what is not there on them.
    gone: dict[str, dict[str, None]] = field(default_factory=dict)
    #: Why variables that there are may not be known.
    unread: str = ""

    def look(self, name: str, module: CoreModule) -> None:
        lines, variables = self.sources.of(module)
        matcher = Matcher(
            [replace(self.probe, body=())], self.plan.evaluate, sources=self.plan.sources
        )
        facts = numbering(module, self.plan.libraries).facts
        for function in matcher.functions(module, facts):
            for firing in function.firings:
                if variables is None:
                    self.bare += 1
                    continue
                self._at(function.info, firing.point, lines, variables)

    def _at(
        self,
        info: FunctionInfo,
        point: Point,
        lines: SourceLines | None,
        variables: SourceVariables,
    ) -> None:
        offsets = _offsets(info, point)
        found = {name: _everywhere(variables, offsets, name) for name in self.source.names}
        held = {name: one for name, one in found.items() if one is not None}
        self.in_scope |= held.keys()
        if len(held) < len(found):
            self.outside += 1
            self.unread = self.unread or variables.note or ("" if lines is None else lines.split)
            if len(self.visible) < 100:
                self.visible |= dict.fromkeys(one.name for one in variables.at(offsets[0]))
            return
        kinds = tuple(local_types(info))
        key = (tuple(held.items()), kinds)
        if key not in self.ways:
            self.ways[key] = _Way(self._checked(info.module, kinds, held))
        way = self.ways[key]
        way.places.add((id(info.module), info.index, point.opidx, point.mode))
        if isinstance(way.probes, NotThere):
            place = None if lines is None else lines.find(offsets[0])
            line = f"pc {info.pc(point.opidx)}" if place is None else f"{place[0]}:{place[1]}"
            self.gone.setdefault(str(way.probes), {})[line] = None

    def _checked(
        self, module: CoreModule, kinds: tuple[str, ...], held: Mapping[str, SourceVariable]
    ) -> list[t.Probe] | ScriptError | NotThere:
        around = Surroundings(held, lambda index: kinds[index] if index < len(kinds) else None,
                              _globals(module), _is64(module))  # fmt: skip
        try:
            return self.source.check(self.probe, around)
        except (ScriptError, NotThere) as fault:
            return fault

    def made(self) -> Iterator[t.Probe]:
        """What fires somewhere; if nothing does, a probe that never fires."""
        fires = False
        for way in self.ways.values():
            for probe in way.probes if isinstance(way.probes, list) else ():
                fires = True
                yield replace(probe, places=frozenset(way.places))
        if not fires:
            yield replace(self.probe, reads=None, body=(), predicate=None, places=frozenset())

    def mistakes(self) -> Iterator[ScriptError]:
        looked = self.outside + sum(len(way.places) for way in self.ways.values())
        for name in self.source.names:
            if name in self.in_scope:
                continue
            if self.unread:
                message = f'the source variable "{name}" is not known: {self.unread}'
                yield self.source.error(name, message, "")
            elif looked:
                near = list(self.visible)
                hint = suggest(name, near) or (f"there are {listed(near)}" if near else "")
                message = f'the source has no variable "{name}" at any place of this rule'
                yield self.source.error(name, message, hint)
            elif self.bare:
                yield self.source.error(
                    name, "the program has no debug information, so that nobody knows where its"
                    f' variable "{name}" is', "build it with -g"
                )  # fmt: skip
        faults = [way.probes for way in self.ways.values() if isinstance(way.probes, ScriptError)]
        if faults and len(faults) == len(self.ways):
            yield faults[0]

    def gone_notes(self) -> Iterator[str]:
        where = self.plan.scripts.written[self.probe.span]
        for what, lines in self.gone.items():
            more = len(lines) - 1
            too = f" and on {more} more line{'s' if more > 1 else ''}" if more else ""
            yield f"{where.place}: {what} at {next(iter(lines))}{too}, where the rule does not fire"

    def unmatched(self) -> Iterator[tuple[str, str, int]]:
        rule = self.probe.rule
        names = ", ".join(f"src.{name}" for name in self.source.names)
        if self.outside:
            yield rule, f"{names}: {self.unread or 'not all in scope'}", self.outside
        if self.bare:
            yield rule, "the module has no debug information", self.bare
        for way in self.ways.values():
            if isinstance(way.probes, ScriptError):
                yield rule, way.probes.message, len(way.places)


def _everywhere(
    variables: SourceVariables, offsets: Iterable[int], name: str
) -> SourceVariable | None:
    """A variable that is held alike at several places."""
    first: SourceVariable | None = None
    for number, offset in enumerate(offsets):
        found = variables.find(offset, name)
        if found is None:
            return None
        if not number:
            first = found
        elif first is not None and found.where != first.where:
            first = replace(first, where=_ELSEWHERE)
    return first


def _offsets(info: FunctionInfo, point: Point) -> list[int]:
    """Where code is whose state the probe sees: what is so before the instruction there."""
    opidx, name = point.opidx, info.mnemonic(point.opidx)
    if point.package in ("func", "source") and point.mode == "exit":
        ends = [at for at in range(len(info.steps)) if _leaves(info, at)]
        return [info.steps[at][0] for at in ends]
    nests = info.opcode(opidx).nesting > 0
    if point.mode == "exit" and nests:
        opidx = info.control.ends[opidx]
    elif point.mode == "after" and nests:
        opidx = info.control.ends[opidx] + 1
    elif (point.mode == "after" and name not in _BRANCHES) or (point.mode == "entry" and nests):
        opidx += 1
    return [info.steps[min(opidx, info.last)][0]]


def _leaves(info: FunctionInfo, opidx: int) -> bool:
    """Whether a function is left by an instruction."""
    if opidx == info.last or info.mnemonic(opidx) in RETURNS:
        return True
    return FUNCTION in info.targets(opidx)


def _globals(module: CoreModule) -> Callable[[int], str | None]:
    count = len(module.imported("global")) + len(module.globals)
    return lambda index: str(module.global_type(index).type) if index < count else None


def _is64(module: CoreModule) -> bool:
    count = len(module.imported("memory")) + len(module.memories)
    return count > 0 and module.memory_type(0).is64

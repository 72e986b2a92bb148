"""Where scripts would fire in an input, and the code that would be put there; nothing is woven.

The command ``info`` prints it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import field, replace

from whamm_cm.agent.sites import SiteTableBuilder
from whamm_cm.analysis.guests import find_guests
from whamm_cm.analysis.program import Program
from whamm_cm.analysis.site import Site
from whamm_cm.analysis.sites import find_sites
from whamm_cm.component.decode import decode
from whamm_cm.dataclass import dataclass
from whamm_cm.lang.tree import Scripts, Span, WitRule
from whamm_cm.wasm.disassemble import Naming, disassemble, instruction, names_of
from whamm_cm.wasm.edit import ModuleEdit
from whamm_cm.wasm.encoding import ValType
from whamm_cm.wasm.function import FunctionInfo
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.rewrite import Piece
from whamm_cm.weave.lacking import lacks
from whamm_cm.weave.opcodes.emit import GuestWeaver
from whamm_cm.weave.opcodes.leftover import pure_counters
from whamm_cm.weave.opcodes.match import Firing, Matcher
from whamm_cm.weave.opcodes.points import find_events
from whamm_cm.weave.opcodes.rows import Rows
from whamm_cm.weave.opcodes.source_values import specialised
from whamm_cm.weave.plan import Added, ScriptPlan
from whamm_cm.weave.scripting import (
    MISSING,
    Scripting,
    as_seen,
    check_names,
    comes_to_pass,
    everything,
    refuse_boundaries,
)
from whamm_cm.weave.unit import UnitBuilder
from whamm_cm.wit.printer import handles_text
from whamm_cm.wit.types import FuncT

PREDICATE = "the predicate is false there"


@dataclass(frozen=True, slots=True)
class OpcodeSite:
    """One probe at one instruction; ``instruction`` as text."""

    rule: str
    module: str
    fid: int
    function: str
    pc: int
    opidx: int
    instruction: str


@dataclass(frozen=True, slots=True)
class BoundarySite:
    """A boundary function; ``reason``: why no probe can be there, "" when one can."""

    rule: str
    title: str
    signature: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Snippet:
    """Code that would be put ``where`` ("before", "after", "for") of an instruction."""

    module: str
    fid: int
    function: str
    pc: int
    instruction: str
    where: str
    code: tuple[str, ...]


@dataclass(slots=True)
class Listing:
    """``unmatched``: (rule, why not, sites); ``left_alone``: (core module, why); ``functions``:
    name and code of what the snippets call in the script unit."""

    opcodes: list[OpcodeSite] = field(default_factory=list)
    boundaries: list[BoundarySite] = field(default_factory=list)
    unmatched: list[tuple[str, str, int]] = field(default_factory=list)
    left_alone: list[tuple[str, str]] = field(default_factory=list)
    snippets: list[Snippet] = field(default_factory=list)
    functions: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Input:
    """What scripts are matched against: a component (``program``), or a core module."""

    guests: tuple[tuple[str, CoreModule], ...]
    left_alone: tuple[tuple[str, str], ...] = ()
    program: Program | None = None
    sites: tuple[Site, ...] = ()
    what: str = ""

    @property
    def boundaries(self) -> tuple[Site, ...]:
        """The sites that are functions to those who write rules."""
        return tuple(site for site in self.sites if site.edge != "builtin")


def open_input(data: bytes, what: str) -> Input:
    """Raises DecodeError for what is neither a component nor a core module."""
    if data[:8] == b"\0asm\1\0\0\0":
        module = CoreModule(data)
        return Input(((module.names.module or "", module),), what=what)
    program = Program.of(decode(data, what))
    guests: list[tuple[str, CoreModule]] = []
    alone: list[tuple[str, str]] = []
    for guest in find_guests(program):
        reason = guest.reason or ("" if guest.instances else "it is never instantiated")
        if reason:
            alone.append((guest.place, reason))
        else:
            guests.append((guest.place, guest.module))
    return Input(tuple(guests), tuple(alone), program, tuple(find_sites(program)), what)


# --- where ---------------------------------------------------------------------------------------


def list_sites(plan: ScriptPlan, given: Input) -> Listing:
    """Where the probes of scripts match, and why they do not elsewhere."""
    plan.sources.near(given.what)
    plan.sources.modules(given.guests)
    plan = specialised(plan, given.guests).plan
    found, scripts = Listing(left_alone=list(given.left_alone)), plan.scripts
    if scripts.probes:
        _opcodes(plan, given, found)
    else:
        found.left_alone = []
    for rule in scripts.wit_rules:
        found.boundaries += _boundaries(rule, given.sites)
        if not any(site.rule == rule.rule for site in found.boundaries):
            found.unmatched.append((rule.rule, _nothing(rule, given), len(given.boundaries)))
    return found


def _nothing(rule: WitRule, given: Input) -> str:
    if given.program is None:
        return "a core module has no boundaries with types"
    if rule.package:
        return MISSING[rule.package]
    return "no function of the component has that side, interface, version and name"


def _opcodes(plan: ScriptPlan, given: Input, found: Listing) -> None:
    matcher = Matcher(plan.scripts.probes, plan.evaluate, sources=plan.sources)
    candidates = 0
    for place, module in given.guests:
        for _, points in find_events(module, matcher.by_event):
            for point in points:
                mode = point.mode if point.package == "opcode" else ""
                candidates += len(matcher.by_event[point.package, point.event, mode])
        for function in matcher.functions(module):
            found.opcodes += [_site(place, function.info, f) for f in function.firings]
    check_names(plan.scripts, matcher)
    for span, why in matcher.idle() if matcher.places is not None else ():
        found.unmatched.append((plan.scripts.written[span].text, why, 0))
    bounds = sorted(matcher.skipped.items())
    found.unmatched += [(rule, reason, count) for (rule, reason), count in bounds]
    rest = candidates - len(found.opcodes) - sum(count for _, count in bounds)
    if rest > 0:
        found.unmatched.append(("", PREDICATE, rest))


def _site(place: str, info: FunctionInfo, firing: Firing) -> OpcodeSite:
    opidx = firing.point.opidx
    text = _text(info, opidx)
    return OpcodeSite(
        firing.left.probe.rule, place, info.fid, info.name, info.pc(opidx), opidx, text
    )


def _text(info: FunctionInfo, opidx: int) -> str:
    at, opcode, _ = info.steps[opidx]
    return instruction(info.module.data, at, opcode)


def _boundaries(rule: WitRule, sites: Sequence[Site]) -> Iterator[BoundarySite]:
    meant = [s for s in sites if rule.matches(as_seen(s)) and comes_to_pass(rule, s, sites)]
    for site in [s for s in meant if not lacks(rule, as_seen(s))] or meant:
        result = site.result if site.elements is None else site.elements
        signature = handles_text(FuncT(site.params, result, site.is_async))
        yield BoundarySite(rule.rule, site.title, signature, site.reason)


# --- the code ------------------------------------------------------------------------------------


def list_code(plan: ScriptPlan, given: Input) -> Listing:
    """The same with the code that would be put into core modules.

    Raises WeaveError where a probe cannot be compiled, ScriptError where it does not fit a
    boundary function.
    """
    plan = specialised(plan, given.guests).plan
    found = list_sites(plan, given)
    unit = UnitBuilder(plan, SiteTableBuilder())
    scripts = plan.scripts
    counters = pure_counters(everything(scripts))
    matcher = Matcher(scripts.probes, plan.evaluate, sources=plan.sources)
    for place, module in given.guests if scripts.probes else ():
        rows = Rows(unit.builder, scripts.names, place)
        weaver = _Weaver(module, matcher, unit, rows, counters)
        woven = weaver.weave()
        if woven is not None:
            found.snippets += weaver.snippets(place, names_of(CoreModule(woven.wasm)))
    if given.program is not None:
        _check_boundaries(plan, scripts, given.program, given.sites)
    generated = CoreModule(unit.encode().wasm)
    found.functions = list(_functions(generated))
    return found


def count_places(plan: ScriptPlan, given: Input) -> Counter[Span]:
    """How many places each rule of the scripts matches.  Raises what weaving them would."""
    if given.program is None:
        refuse_boundaries(plan.scripts)
    plan = specialised(plan, given.guests).plan
    list_code(plan, given)
    found = Counter[Span]()
    matcher = Matcher(plan.scripts.probes, plan.evaluate, sources=plan.sources)
    for _, module in given.guests:
        for function in matcher.functions(module):
            found.update(firing.left.probe.span for firing in function.firings)
    found.update(p.span for p in plan.scripts.probes if p.package in ("begin", "end", "report"))
    for rule in plan.scripts.wit_rules:
        found[rule.span] += sum(not site.reason for site in _boundaries(rule, given.sites))
    return found


def _check_boundaries(
    plan: ScriptPlan, scripts: Scripts, program: Program, sites: Sequence[Site]
) -> None:
    """The errors that weaving boundary probes would end in."""
    plan = ScriptPlan(replace(scripts, probes=()), plan.libraries, plan.evaluate, plan.text)
    Scripting(program, plan, SiteTableBuilder(), Added()).match(sites)


def _functions(module: CoreModule) -> Iterator[tuple[str, tuple[str, ...]]]:
    imported, naming = len(module.imported("func")), names_of(module)
    for export in module.exports:
        getter = export.name.startswith("get_")
        if export.kind != "func" or export.index < imported or getter:
            continue
        body = module.bodies[export.index - imported]
        if body.end - body.code > 1:  # more than its end
            yield export.name, tuple(disassemble(module.data, body.code, body.end, naming))


class _Edit(ModuleEdit):
    """Remembers the new bodies."""

    def __init__(self, module: CoreModule) -> None:
        super().__init__(module)
        self.pieces: dict[int, tuple[Piece, ...]] = {}

    def replace_body(
        self, defined_index: int, pieces: Sequence[Piece], extra_locals: Sequence[ValType] = ()
    ) -> None:
        self.pieces[defined_index] = tuple(pieces)
        super().replace_body(defined_index, pieces, extra_locals)


class _Weaver(GuestWeaver):
    """Weaves a module and tells what it put where."""

    recorded: _Edit

    def __post_init__(self) -> None:
        super().__post_init__()
        self.in_bulk = False

    def new_edit(self) -> ModuleEdit:
        self.recorded = _Edit(self.module)
        return self.recorded

    def snippets(self, place: str, naming: Naming) -> Iterator[Snippet]:
        for index, pieces in sorted(self.recorded.pieces.items()):
            info = FunctionInfo(self.module, index)
            by_start = {step[0]: opidx for opidx, step in enumerate(info.steps)}
            by_end = {step[2]: opidx for opidx, step in enumerate(info.steps)}
            reached = info.body.code
            for number, piece in enumerate(pieces):
                if isinstance(piece, tuple):
                    reached = piece[1]
                    continue
                following = pieces[number + 1] if number + 1 < len(pieces) else None
                start = following[0] if isinstance(following, tuple) else reached
                where, opidx = _where(reached, start, by_start, by_end)
                yield Snippet(
                    place, info.fid, info.name, info.pc(opidx), _text(info, opidx), where,
                    tuple(disassemble(piece, naming=naming)),
                )  # fmt: skip


def _where(
    reached: int, start: int, by_start: dict[int, int], by_end: dict[int, int]
) -> tuple[str, int]:
    """Code between what ends at ``reached`` and what starts at ``start``."""
    if start != reached:
        return "for", by_start[reached]
    if reached in by_start:
        return "before", by_start[reached]
    return "after", by_end[reached]

"""A script as a monitor module of the Wizard engine, made for one core module.

What is known of the module is folded as where it is rewritten; what is left of a probe becomes a
rule (``emit.script.hosted``), with the script unit, the agent and the way out in the same module.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

from whamm_cm.agent.layout import load_wasm
from whamm_cm.agent.sites import SiteTableBuilder
from whamm_cm.agent.table import packed_table
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.script.hosted import Code, Hosted, Kind, Rule
from whamm_cm.emit.script.memories import IMPLICIT, MEMORY_ARGS, PROGRAM
from whamm_cm.emit.script.types import flats
from whamm_cm.errors import WeaveError
from whamm_cm.lang import tree as t
from whamm_cm.lang.fold import fold_expr
from whamm_cm.lang.intervals import BEATING
from whamm_cm.lang.leaving import LEAVING
from whamm_cm.lang.walk import walk
from whamm_cm.wasm.function import FunctionInfo
from whamm_cm.wasm.link import Part, link
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.opcodes import by_mnemonic
from whamm_cm.weave.opcodes import memories
from whamm_cm.weave.opcodes.imports import UNIT
from whamm_cm.weave.opcodes.leftover import cell_inits
from whamm_cm.weave.opcodes.match import NEEDED, Firing, Function, Left, Matcher
from whamm_cm.weave.opcodes.rows import Rows
from whamm_cm.weave.plain import EXIT, WovenModule, exit_module, stamped
from whamm_cm.weave.plain_sinks import sink_parts
from whamm_cm.weave.plan import Added, Plan, ScriptPlan, nothing
from whamm_cm.weave.scripting import check_names, idle, refuse_boundaries
from whamm_cm.weave.unit import UnitBuilder
from whamm_cm.weave.wiring import SinkOptions
from whamm_cm.weave.wizard.operands import Operands
from whamm_cm.weave.wizard.slots import Jumps, Rank, Slot, refused, slots

#: What the engine calls at the program's end.
_END = "wasm:exit"
_EMPTY = b"\0asm\1\0\0\0"
_PACKAGES = ("opcode", "func", "block", "line", "source")


def weave_monitor(data: bytes, plan: Plan, what: str = "input") -> WovenModule:
    """The monitor for the core module ``data``; same input, same bytes.

    Raises DecodeError for what is no module, WeaveError for what the engine cannot do.
    """
    if plan.scripts is None:
        raise WeaveError(
            f"{what}: a monitor of the Wizard engine is made of scripts; give one with -s, -e or -m"
        )
    if plan.sink not in ("stderr", "none"):
        raise WeaveError(f"--sink {plan.sink}: a monitor of the Wizard engine writes to stderr")
    if plan.trace is not nothing or plan.count is not nothing:
        raise WeaveError(
            "a monitor of the Wizard engine has no calls to trace or count at its edge"
        )
    refuse_boundaries(plan.scripts.scripts)
    _refuse_elsewhere(plan.scripts.scripts)
    return _Monitor(CoreModule(data), plan, plan.scripts).made(hashlib.sha256(data).hexdigest())


@dataclass(slots=True)
class _Monitor:
    module: CoreModule
    plan: Plan
    scripts: ScriptPlan
    added: Added = field(default_factory=Added)
    builder: SiteTableBuilder = field(default_factory=SiteTableBuilder)
    unit: UnitBuilder = field(init=False)
    rows: Rows = field(init=False)
    #: By the place in the order of firing, and by all that tells rules apart.
    rules: dict[tuple[Any, ...], Rule] = field(default_factory=dict)
    order: dict[int, int] = field(default_factory=dict)
    blurred: int = 0
    #: Places that take note of jumps.
    asking: set[tuple[int, int]] = field(default_factory=set)
    #: Whether some of them are where caught exceptions lead.
    catches: bool = False
    lefts: dict[int, Left] = field(default_factory=dict)

    def made(self, origin: str) -> WovenModule:
        self.unit = UnitBuilder(self.scripts, self.builder)
        checked, names = self.scripts.scripts, self.scripts.scripts.names
        self.rows = Rows(self.builder, names, self.module.names.module or "")
        self.order = {id(probe): k for k, probe in enumerate(checked.probes)}
        numbering = self.unit.unit.memories = self.unit.numbering(self.module)
        matcher = Matcher(
            checked.probes, self.scripts.evaluate, as_whamm=self.plan.compat,
            sources=self.scripts.sources,
        )  # fmt: skip
        for function in matcher.functions(self.module, numbering.facts):
            self._function(function)
        check_names(checked, matcher)
        if self.catches:
            self._exceptions()
        self._say(matcher)
        wasm = self._linked()
        table = packed_table(self.builder.to_bytes())
        wasm = stamped(wasm, self.plan, origin, table)
        return WovenModule(wasm, table, self.added, None)

    def _say(self, matcher: Matcher) -> None:
        added = self.added
        added.unmatched += [(*key, count) for key, count in sorted(matcher.skipped.items())]
        if not self.plan.compat:
            added.idle += idle(self.scripts.scripts, matcher.idle())
        added.woven_modules = 1
        added.remarks += self.scripts.sources.gaps()
        if self.blurred:
            places = "a place is" if self.blurred == 1 else f"{self.blurred} places are"
            added.remarks.append(
                f"{places} reached by ways that the Wizard engine does not tell apart (exceptions"
                " of the old kind, branches that stay where they lead): all of them are counted"
            )

    # --- one function ---

    def _function(self, function: Function) -> None:
        info = function.info
        placed = [
            (firing, slot)
            for firing in function.firings
            for slot in slots(firing, info, self.plan.compat)
        ]
        jumps = Jumps(info)
        asking = {slot.opidx for _, slot in placed if slot.falling}
        ways, known, blurred = jumps.found(asking)
        for opidx in sorted(known):
            place = _at(info, opidx)
            self.asking.add(place)
            rule = self._rule(info, opidx, "arrive", Rank.AFTER, ())
            rule.places.append((*place, ()))
        self.catches |= bool(known) and bool(info.of(("try_table",)))
        for way in ways:
            self._jump(info, way.opidx, way.kind, way.marked)  # type: ignore[arg-type]
        counted: set[int] = set()
        addresses: dict[int, dict[t.Variable, int]] = {}
        for firing, slot in placed:
            if slot.falling and slot.opidx in blurred:
                if slot.rank < Rank.BEFORE:
                    raise refused(firing, info, "cannot tell whether what follows is reached so")
                counted.add(slot.opidx)
        self.blurred += len(counted)
        for number, firing in enumerate(function.firings):
            addresses[number] = self._cells(firing, info)
        numbers = {id(firing): number for number, firing in enumerate(function.firings)}
        for firing, slot in placed:
            self._place(firing, slot, info, addresses[numbers[id(firing)]], slot.opidx in known)
        self.added.core_sites += len(function.firings)

    def _exceptions(self) -> None:
        """All that throws says so, and all places where something is caught forget it."""
        names = ("throw", "throw_ref", "rethrow", "try_table", "catch", "catch_all")
        opcodes = frozenset(opcode for name in names for opcode in by_mnemonic(name))
        for index in sorted(set(self.module.find(opcodes).spans)):
            info = FunctionInfo(self.module, index)
            jumps, caught = Jumps(info).thrown()
            for way in jumps:
                self._jump(info, way.opidx, "jump", ())
            for opidx in caught:
                place = _at(info, opidx)
                if place not in self.asking:
                    self.asking.add(place)
                    self._jump(info, opidx, "stay", ())

    def _jump(self, info: FunctionInfo, opidx: int, kind: Kind, marked: tuple[bool, ...]) -> None:
        takes = () if kind in ("jump", "stay") else (("arg0", "i32"),)
        facts: tuple[str, ...] = ()
        values: tuple[float, ...] = ()
        if kind == "jump by table":
            facts = ("i32", "i32")
            values = self.unit.data(bytes(marked)), len(marked) - 1
        rule = self._rule(info, opidx, kind, Rank.LAST, takes, facts)
        rule.places.append((*_at(info, opidx), values))

    def _rule(
        self,
        info: FunctionInfo,
        opidx: int,
        kind: Kind,
        rank: Rank,
        takes: tuple[tuple[str, str], ...],
        facts: tuple[str, ...] = (),
    ) -> Rule:
        event = event_of(info, opidx)
        first = kind in ("arrive", "stay")
        key = (-1 if first else int(rank), -1, 0, event, kind)
        return self.rules.setdefault(key, Rule(event, kind, facts, takes))

    def _cells(self, firing: Firing, info: FunctionInfo) -> dict[t.Variable, int]:
        """The addresses of the cells of a site."""
        found: dict[t.Variable, int] = {}
        left, opidx = firing.left, firing.point.opidx
        for variable, init in cell_inits(left).items():
            row = self.rows.row(variable, left.probe) if self.unit.reports(variable) else None
            if init is not None:
                init = fold_expr(init, firing.values, self.scripts.evaluate)
                init = memories.for_unit(init, self.unit.memories, self.unit.memories)
            number = -1 if row is None else row.add(info, opidx)
            place = None if row is None else row.number
            found[variable] = self.unit.cell(variable, init, place, number, found)
        return found

    def _place(
        self,
        firing: Firing,
        slot: Slot,
        info: FunctionInfo,
        cells: Mapping[t.Variable, int],
        asks: bool,
    ) -> None:
        left = self._checked(firing, info)
        operands = Operands.of(firing, slot, info)
        if operands is None:
            return  # the code cannot run
        values: list[float] = [cells[variable] for variable in left.cells]
        for name in left.statics:
            value = firing.values[name]
            values += self.unit.string(value) if isinstance(value, str) else [value]
        event, falling = event_of(info, slot.opidx), slot.falling and asks
        key = (
            int(slot.rank), _PACKAGES.index(firing.point.package), self.order[id(left.probe)],
            event, id(left), operands.takes, falling,
        )  # fmt: skip
        if key not in self.rules:
            self.rules[key] = self._made(left, event, operands, falling)
        self.rules[key].places.append((*_at(info, slot.opidx), tuple(values)))

    def _made(self, left: Left, event: str, operands: Operands, falling: bool) -> Rule:
        facts = ["i32"] * len(left.cells)
        statics = {}
        types = {n.name: n.type for n in _nodes(left) if isinstance(n, t.Static)}
        for name in left.statics:
            kinds = flats(types[name])
            statics[name] = tuple(range(len(facts), len(facts) + len(kinds)))
            facts += kinds
        bound = {name: (len(facts) + k,) for k, name in enumerate(operands.names)}
        cells = {variable: k for k, variable in enumerate(left.cells)}
        code = Code(left.body, left.predicate, cells, statics, bound, falling)
        for call in code.needs.initials.values():
            self.unit.initial(call)
        self.unit.announce(left.body)
        return Rule(event, "probe", tuple(facts), operands.takes, code)

    def _checked(self, firing: Firing, info: FunctionInfo) -> Left:
        """WeaveError for code that a monitor cannot do."""
        left = firing.left
        if id(left) in self.lefts:
            return left
        for node in _nodes(left):
            why = _cannot(node)
            if why:
                raise refused(firing, info, why)
        if any(name in left.builtins for name in NEEDED) or any(map(self._reads, _nodes(left))):
            raise refused(
                firing, info, "does not let a monitor read the program's memory or tables"
            )
        self.lefts[id(left)] = left
        return left

    def _reads(self, node: t.Expr | t.Stmt) -> bool:
        """Whether it reads or writes memory of the program."""
        if not isinstance(node, t.Builtin):
            return False
        named = [node.args[index] for index in MEMORY_ARGS.get(node.name, ())]
        refs = map(self.unit.memories.named, named)
        return node.name in IMPLICIT or any(ref.kind == "program" for ref in refs)

    # --- the module ---

    def _linked(self) -> bytes:
        rules = [self.rules[key] for key in sorted(self.rules, key=_by_order)]
        for rule in rules:
            rule.places.sort()
        site = self.builder.add_print("whamm-cm")
        wrong = "this monitor was made for another module, and does not fit the one that ran"
        hosted = self.unit.hosted = Hosted(self.unit.unit, rules, (site, wrong))
        sends = self.plan.sink != "none"
        unit = self.unit.module(False, sends)
        if any(each.module == PROGRAM for each in CoreModule(unit).imports):
            raise WeaveError(
                "outside of probes, a script reads the program's memory, which a monitor of the"
                " Wizard engine does not reach"
            )
        parts = [Part("unit", unit, UNIT, {name: name for name in hosted.exports})]
        if any(i.module == "agent" for i in CoreModule(unit).imports):
            self.added.agents = 1
            parts.append(Part("agent", load_wasm("agent.wasm"), "agent"))
            if sends:
                parts += sink_parts(CoreModule(_EMPTY), self.plan.sink, self._options(), "")
        parts.append(Part("exit", exit_module(unit, False), EXIT, {"leave": _END}))
        return link(parts, start_order=["unit"])

    def _options(self) -> SinkOptions:
        json = self.plan.lines == "json"
        return SinkOptions(self.builder.to_bytes(named=json), self.plan.nonce, json)


def _by_order(key: tuple[Any, ...]) -> tuple[int, ...]:
    """As first made where nothing else decides."""
    return key[:3]


def _at(info: FunctionInfo, opidx: int) -> tuple[int, int]:
    """The place as the engine counts it: by bytes of the body, however those are encoded."""
    return info.fid, info.steps[opidx][0] - info.body.start


#: Instructions the engine has other names for, or none.
_PREFIXED = (0xFB, 0xFE)


def event_of(info: FunctionInfo, opidx: int) -> str:
    """What the engine calls the instruction in rules; ``*`` where it has no name of one word."""
    opcode = info.opcode(opidx)
    if opcode.prefix in _PREFIXED or (opcode.prefix, opcode.code) == (0, 0x1C):
        return "*"
    return opcode.mnemonic


def _nodes(left: Left) -> list[t.Expr | t.Stmt]:
    return [*walk(*left.body), *(() if left.predicate is None else walk(left.predicate))]


def _refuse_elsewhere(scripts: t.Scripts) -> None:
    """WeaveError for code outside of instructions, and for rules, that a monitor cannot do."""
    for probe in scripts.probes:
        if probe.package in BEATING:
            rule = scripts.written[probe.span].text
            raise WeaveError(f"{rule}: the Wizard engine has no beat: nothing fires as time passes")
        if probe.reads is not None:
            raise WeaveError(
                f"{probe.rule}: the Wizard engine does not let a monitor read variables of the"
                " source (src)"
            )
    for where, nodes in _outside(scripts):
        for node in walk(*nodes):
            why = _cannot(node)
            if why:
                raise WeaveError(f"{where}: the Wizard engine {why}")


def _outside(scripts: t.Scripts) -> Iterator[tuple[str, Sequence[t.Expr | t.Stmt]]]:
    """Code that belongs to no place of the program, by what to call it."""
    yield "a variable of the script", scripts.globals
    for function in scripts.functions:
        yield f"function {function.name}", function.body
    for probe in scripts.probes:
        if probe.package in ("begin", "end", "report"):
            more = () if probe.predicate is None else (probe.predicate,)
            yield probe.rule, (*more, *probe.body)


def _cannot(node: t.Expr | t.Stmt) -> str:
    """What the engine cannot do, for the sentence about a rule."""
    if isinstance(node, t.Act | t.Trace):
        return f"cannot do {getattr(node, 'what', 'trace')}"
    target = node.target if isinstance(node, t.Assign | t.Update) else None
    while isinstance(target, t.TupleGet):
        target = target.operand
    if isinstance(target, t.Bound):
        return f"cannot change {target.name}"
    if isinstance(node, t.Builtin) and node.name in ("now", "wall"):
        return "gives a monitor no clock"
    if isinstance(node, t.Builtin) and node.name in LEAVING:
        return f"does not let a monitor end the program, as {node.name}() does"
    if isinstance(node, t.Var) and node.variable.kind is t.Kind.TASK:
        return "knows no tasks"
    if isinstance(node, t.Var) and node.variable.kind is t.Kind.FRAME:
        return f"has no place in a frame for {node.variable.name}"
    return ""

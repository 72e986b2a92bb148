"""What fires at each kind of instruction, worked out once for all that are alike.

A kind is an opcode, with its immediates where predicates, facts or operand types depend on them.
What depends on the function or on the place of an instruction is not for kinds: functions with
such sites are matched one by one (``match``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import field
from functools import cached_property
from typing import Any

from whamm_cm.dataclass import dataclass
from whamm_cm.emit.script.types import flats
from whamm_cm.lang import tree as t
from whamm_cm.lang.events import OPCODE_EVENTS, opcodes_of
from whamm_cm.lang.walk import walk
from whamm_cm.wasm.code import Found
from whamm_cm.wasm.function import FunctionInfo
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.opcodes import Imm, Opcode
from whamm_cm.wasm.signatures import NUMBERS, signature
from whamm_cm.weave.opcodes.match import NEEDED, Facts, Left, Matcher, Prober
from whamm_cm.weave.opcodes.points import Point
from whamm_cm.weave.opcodes.statics import Statics

#: Facts that are not a matter of the instruction alone.
_OF_FUNCTIONS = frozenset(("fname",))
_OF_PLACES = frozenset(
    (
        "at_func_end",
        "instr_count",
        "resolved_fid",
        "file",
        "line",
        "column",
        "func",
        "inlined",
        "frames",
    )
)
#: Those of them that code can be given at each place.
FILLED = frozenset(("fid", "pc", "opidx"))
#: Special in tables of signatures, with an i32 on top.
_CONDITIONS = frozenset(("if", "br_if", "br_table", "select"))
_ARGS = tuple(f"arg{number}" for number in range(64))


@dataclass(frozen=True, slots=True)
class Fires:
    """One probe at a kind.  ``operands``: the types of those that it reads, top first;
    ``statics``: the open facts that all of the kind share."""

    left: Left
    operands: tuple[str, ...]
    statics: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """``fires`` in order; ``skipped``: (rule, why) of what bounds kept from firing."""

    fires: tuple[Fires, ...]
    skipped: tuple[tuple[str, str], ...] = ()


@dataclass
class Kinds:
    """The kinds of one module.  ``facts``: what the module answers to builtins."""

    matcher: Matcher
    module: CoreModule
    facts: Mapping[str, Any]
    #: By opcode: the events that probes want of it, in their order.
    events: dict[Opcode, list[str]] = field(default_factory=dict)
    #: Opcodes of events that are matched site by site.
    single: set[Opcode] = field(default_factory=set)

    def __post_init__(self) -> None:
        for package, event, mode in self.matcher.by_event:
            if package != "opcode":
                continue
            for opcode in opcodes_of(event):
                self.events.setdefault(opcode, []).append(event)
                if mode != "before":
                    self.single.add(opcode)
        for opcode, events in self.events.items():
            probers = [p for event in events for p in self._probers(event)]
            if not all(map(_alike, probers)):
                self.single.add(opcode)

    @property
    def possible(self) -> bool:
        """Whether there can be any at all: not where probes ask for what has to be kept in
        functions without sites, nor with probes of functions and blocks."""
        by_event = self.matcher.by_event
        if any(package != "opcode" for package, *_ in by_event):
            return False
        return not any(
            isinstance(node, t.Builtin | t.Bound) and node.name in NEEDED
            for probers in by_event.values()
            for prober in probers
            for node in walk(*_code(prober))
        )

    def _probers(self, event: str) -> list[Prober]:
        return self.matcher.by_event.get(("opcode", event, "before"), [])

    @cached_property
    def by_immediates(self) -> frozenset[Opcode]:
        """The opcodes whose immediates matter."""
        return frozenset(op for op in self.events if self._differ(op))

    def _differ(self, opcode: Opcode) -> bool:
        if not opcode.immediates:
            return False
        for event in self.events[opcode]:
            known = OPCODE_EVENTS[event].constants.keys() | FILLED
            for prober in self._probers(event):
                names = prober.folder.relevant | _open(prober)
                args = {n.name for n in walk(*_code(prober)) if isinstance(n, t.Bound)}
                args |= set(prober.probe.bounds)
                if not known >= names or _reach(args) > len(self._fixed(opcode)):
                    return True
        return False

    def _fixed(self, opcode: Opcode) -> tuple[str, ...]:
        """The types of the topmost operands, top first, as far as opcode and module tell them."""
        if opcode.mnemonic in _CONDITIONS:
            return ("i32",)
        kinds = []
        for word in reversed(signature(opcode).pops):
            kind = {"at": self._wide, "tab": self._tables}.get(word, word)
            if kind not in NUMBERS:
                break
            kinds.append(kind)
        return tuple(kinds)

    @cached_property
    def _wide(self) -> str:
        """The type of all addresses, if there is one."""
        count = len(self.module.imported("memory")) + len(self.module.memories)
        kinds = {self.module.memory_type(index).is64 for index in range(count)}
        return "" if len(kinds) > 1 else "i64" if True in kinds else "i32"

    @cached_property
    def _tables(self) -> str:
        count = len(self.module.imported("table")) + len(self.module.tables)
        kinds = {self.module.table_type(index).is64 for index in range(count)}
        return "" if len(kinds) > 1 else "i64" if True in kinds else "i32"

    def operands(self, info: FunctionInfo) -> tuple[str, ...]:
        """The same, with the parameters of what is called."""
        opcode, found = info.opcode(0), list(self._fixed(info.opcode(0)))
        rest = signature(opcode).pops[::-1][len(found) :]
        if rest == ("params",):
            place = Imm.FUNC if Imm.FUNC in opcode.immediates else Imm.TYPE
            index = info.immediates(0)[opcode.immediates.index(place)]
            assert isinstance(index, int)
            type_ = self.module.func_type if place is Imm.FUNC else self.module.type_func
            for kind in reversed(type_(index).params):
                if kind not in NUMBERS:
                    break
                found.append(str(kind))
        return tuple(found)

    def of(self, step: Found) -> Kind | None:
        """The kind of an instruction; None when its sites have to be looked at one by one."""
        info = FunctionInfo(self.module, 0, [step])
        operands = self.operands(info)
        fires: list[Fires] = []
        skipped: list[tuple[str, str]] = []
        for event in self.events.get(step[1], ()):
            statics = Statics(info, Point(0, "opcode", event, "before"))
            for prober in self._probers(event):
                why = _bounds(prober.probe, event, operands)
                if why is None:
                    return None
                if why:
                    prober.reached = prober.reached or "bound"
                    skipped.append((prober.probe.rule, why))
                    continue
                facts = {**self.facts, **self.matcher.facts(prober.probe)}
                left = prober.at(Facts(statics, facts))
                if left is None or any(n not in statics for n in left.statics):
                    continue
                found = _fires(left, operands, statics)
                if found is None:
                    return None
                prober.reached = "fires"
                fires.append(found)
        return Kind(tuple(fires), tuple(skipped))


def _fires(left: Left, operands: tuple[str, ...], statics: Statics) -> Fires | None:
    reach = _reach(left.bound)
    if reach > len(operands) or left.builtins & NEEDED.keys():
        return None
    if not all(name in _ARGS for name in left.bound):
        return None
    shared = {name: statics[name] for name in left.statics if name not in FILLED}
    return Fires(left, operands[:reach], shared)


def _bounds(probe: t.Probe, event: str, operands: tuple[str, ...]) -> str | None:
    """Why the probe's bounds do not hold, "" when they do; None when that is not known here."""
    for name, wanted in probe.bounds.items():
        if name not in _ARGS or _reach((name,)) > len(operands):
            return None
        if OPCODE_EVENTS[event].find(name) is None:
            return f"{name} is not there"
        kind = operands[_ARGS.index(name)]
        if (kind,) != flats(wanted):
            return f"{name} is {kind}, not {wanted}"
    return ""


def _reach(names: Iterable[str]) -> int:
    """How many operands from the top the mentioned ones reach."""
    return max((_ARGS.index(name) + 1 for name in names if name in _ARGS), default=0)


def _code(prober: Prober) -> list[t.Expr | t.Stmt]:
    predicate = prober.folder.predicate
    return [*prober.folder.body, *([] if predicate is None else [predicate])]


def _open(prober: Prober) -> frozenset[str]:
    return frozenset(n.name for n in walk(*_code(prober)) if isinstance(n, t.Static))


def _alike(prober: Prober) -> bool:
    """Whether what is left of a probe is the same at all instructions of a kind."""
    names, relevant = _open(prober), prober.folder.relevant
    apart: Collection[str] = _OF_PLACES | _OF_FUNCTIONS
    return (
        not prober.folder.calls_static
        and prober.probe.places is None
        and (names | relevant).isdisjoint(apart)
        and relevant.isdisjoint(FILLED)
    )

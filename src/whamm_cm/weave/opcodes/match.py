"""Which probes fire where in a core module, and what is left of each there.

Matching is by event, then by type bounds, then by folding the predicate with what is known of the
site.  What is left of a probe is the same at many sites; it is worked out once for each.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from whamm_cm.analysis.source import Sources
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.script.types import flats
from whamm_cm.errors import WeaveError
from whamm_cm.lang import tree as t
from whamm_cm.lang.events import OPCODE_EVENTS, SOURCE_PACKAGES
from whamm_cm.lang.fold import EvaluateStatic, Residual, folder
from whamm_cm.lang.places import SourceRule
from whamm_cm.lang.source import ScriptError, WrittenRule
from whamm_cm.lang.walk import walk
from whamm_cm.wasm.function import FunctionInfo
from whamm_cm.wasm.module import CoreModule
from whamm_cm.weave.opcodes.lines import Places
from whamm_cm.weave.opcodes.points import Point, find_events
from whamm_cm.weave.opcodes.statics import Statics
from whamm_cm.weave.opcodes.unplaced import mistake, why_not

_OPERAND = re.compile(r"(arg|res|local|param)(0|[1-9]\d{0,8})")
#: What builtins that belong to an instruction need of its operands.
NEEDED = {"dup_at": ("arg0", "arg1"), "resolve_funcref": (), "target_funcref": ("arg0",)}
_PACKAGES = frozenset(("opcode", "func", "block", *SOURCE_PACKAGES))
#: Why a rule matches nothing, by how far it came.
REASONS = {
    "": (0, "there is no such place in the core modules"),
    "bound": (1, "no place has operands or locals of these types"),
    "source": (2, "its variables of the source are nowhere in scope, or not there"),
    "predicate": (2, "the predicate is false at every place"),
    "fires": (3, ""),
}


@dataclass(frozen=True, slots=True, eq=False)
class Left:
    """What is left of a probe at some sites.

    ``cells``: its variables of kind CELL, in order of declaration.  ``bound``: the dynamic bound
    variables it mentions, and those its builtins need.  ``statics``: names of the static facts left
    open.  ``builtins``: names of the compiler's functions it calls, and ``target_funcref``.
    """

    probe: t.Probe
    predicate: t.Expr | None
    body: tuple[t.Stmt, ...]
    cells: tuple[t.Variable, ...]
    bound: tuple[str, ...]
    statics: tuple[str, ...]
    builtins: frozenset[str] = frozenset()

    @property
    def at_instruction(self) -> bool:
        """Whether the code depends on what stands in the instruction."""
        return not self.builtins.isdisjoint(NEEDED)


@dataclass(frozen=True, slots=True)
class Firing:
    """One probe at one point.  ``values``: the open statics."""

    point: Point
    left: Left
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Function:
    """The firings of one function, in the order in which they were matched."""

    info: FunctionInfo
    firings: tuple[Firing, ...]


class Prober:
    """One probe on its way through all sites."""

    def __init__(self, probe: t.Probe, evaluate: EvaluateStatic | None) -> None:
        self.probe, self.evaluate = probe, evaluate
        self.folder = folder(probe)
        self.relevant = tuple(sorted(self.folder.relevant))
        self.cells = tuple(
            node.variable
            for node in walk(*probe.body)
            if isinstance(node, t.Declare) and node.variable.kind is t.Kind.CELL
        )
        self.found: dict[tuple[Any, ...], Left | None] = {}
        #: How far it came: "" nowhere, "bound" to its event, "predicate" to its type bounds, and
        #: "fires".
        self.reached = ""

    def at(self, statics: Mapping[str, Any]) -> Left | None:
        """What is left where these facts hold; None when the probe never fires."""
        self.reached = self.reached if self.reached == "fires" else "predicate"
        if self.folder.calls_static:  # it may answer otherwise each time
            return self._left(statics)
        key = tuple(_hashable(statics.get(name)) for name in self.relevant)
        if key not in self.found:
            self.found[key] = self._left(statics)
        return self.found[key]

    def _left(self, statics: Mapping[str, Any]) -> Left | None:
        values = {name: statics[name] for name in self.folder.relevant if name in statics}
        residual = self.folder.fold(values, self.evaluate)
        if residual is None:
            return None
        nodes = list(_nodes(residual))
        bound = dict.fromkeys(n.name for n in nodes if isinstance(n, t.Bound))
        bound, builtins = _with_needed(nodes, bound)
        open_ = dict.fromkeys(n.name for n in nodes if isinstance(n, t.Static))
        return Left(
            self.probe,
            residual.predicate,
            residual.body,
            self.cells,
            tuple(bound),
            tuple(open_),
            builtins,
        )


def _with_needed(
    nodes: Sequence[t.Expr | t.Stmt], bound: dict[str, None]
) -> tuple[dict[str, None], frozenset[str]]:
    """The bound variables with those that builtins need, and the builtins."""
    builtins = {n.name for n in nodes if isinstance(n, t.Builtin)}
    if "target_funcref" in bound:
        builtins.add("target_funcref")
        del bound["target_funcref"]
    for name in sorted(builtins & NEEDED.keys()):
        bound.update(dict.fromkeys(NEEDED[name]))
    return bound, frozenset(builtins)


def _hashable(value: Any) -> Any:
    return tuple(value.items()) if isinstance(value, dict) else value


def _nodes(residual: Residual) -> Iterator[t.Expr | t.Stmt]:
    yield from walk(*residual.body)
    if residual.predicate is not None:
        yield from walk(residual.predicate)


class Matcher:
    """Finds the firings of a script's probes in core modules.

    ``facts`` gives the static facts of a script itself (``probe_id`` …) for a probe.  ``as_whamm``:
    basic blocks and ways out of functions are what whamm takes for them.  ``sources``: where the
    code of modules is in the source.
    """

    def __init__(
        self,
        probes: Sequence[t.Probe],
        evaluate: EvaluateStatic | None = None,
        facts: Callable[[t.Probe], Mapping[str, Any]] = lambda probe: {},
        as_whamm: bool = False,
        sources: Sources | None = None,
    ) -> None:
        self.evaluate, self.facts, self.as_whamm = evaluate, facts, as_whamm
        self.sources = sources or Sources()
        rules = {p.event: p.source for p in probes if p.source is not None}
        self.skipped: Counter[tuple[str, str]] = Counter()
        self.places = Places(rules, self.sources, self.skipped) if rules else None
        self.by_event: dict[tuple[str, str, str], list[Prober]] = {}
        for probe in probes:
            if probe.package in _PACKAGES:
                mode = probe.mode if probe.package == "opcode" else ""
                prober = Prober(probe, evaluate)
                self.by_event.setdefault((probe.package, probe.event, mode), []).append(prober)

    def functions(
        self,
        module: CoreModule,
        facts: Mapping[str, Any] = MappingProxyType({}),
        indices: Collection[int] | None = None,
    ) -> Iterator[Function]:
        """The functions of ``module`` in which something fires, in index order.

        ``facts``: what the module answers to builtins (``lang.fold.FACTS``); ``indices``: only
        these defined functions.  WeaveError when two
        ``alt`` probes are left at one instruction.
        """
        probers = [prober for found in self.by_event.values() for prober in found]
        known = {id(p): {**facts, **self.facts(p.probe)} for p in probers}
        found = find_events(module, self.by_event, indices, self.as_whamm, self.places)
        for info, points in found:
            firings = [f for point in points for f in self._at(info, point, known)]
            if firings:
                yield Function(info, tuple(firings))

    def _at(
        self, info: FunctionInfo, point: Point, known: Mapping[int, Mapping[str, Any]]
    ) -> Iterator[Firing]:
        mode = point.mode if point.package == "opcode" else ""
        statics: Statics | None = None
        alt: Firing | None = None
        for prober in self.by_event[point.package, point.event, mode]:
            places = prober.probe.places
            if places is not None and (
                (id(info.module), info.index, point.opidx, point.mode) not in places
            ):
                prober.reached = prober.reached or "source"
                continue
            if not self._bounds_hold(info, point, prober.probe):
                prober.reached = prober.reached or "bound"
                continue
            if statics is None:  # asking for its truth would count all it has
                statics = Statics(info, point, self.sources)
            left = prober.at(Facts(statics, known[id(prober)]))
            if left is None or any(n not in statics for n in left.statics):
                continue
            prober.reached = "fires"
            firing = Firing(point, left, {name: statics[name] for name in left.statics})
            if point.mode == "alt":
                if alt is not None:
                    raise _two_alts(info, alt, firing)
                alt = firing
            yield firing

    def idle(self) -> Iterator[tuple[t.Span, str]]:
        """Rules that matched nothing of all that was asked for, by their spans, and why."""
        reached = dict[t.Span, str]()
        for prober in (prober for found in self.by_event.values() for prober in found):
            span = prober.probe.span
            reached[span] = max(reached.get(span, ""), prober.reached, key=REASONS.get)  # type: ignore[arg-type]
        for span in sorted(reached, key=lambda span: (span.script, span.start)):
            if reached[span] != "fires":
                rule = None if reached[span] or self.places is None else self._rule_at(span)
                why = REASONS[reached[span]][1] if rule is None else why_not(rule, self.sources)
                yield span, why

    def _rule_at(self, span: t.Span) -> SourceRule | None:
        found = (p.probe for probers in self.by_event.values() for p in probers)
        return next((probe.source for probe in found if probe.span == span), None)

    def mistakes(self, written: Mapping[t.Span, WrittenRule]) -> list[ScriptError]:
        """What is misspelt in rules on the source, of those that have to match."""
        if self.places is None:
            return []
        return [
            error
            for prober in (prober for found in self.by_event.values() for prober in found)
            for rule in [prober.probe.source]
            if rule is not None and not prober.reached and not written[prober.probe.span].optional
            for error in [mistake(rule, self.sources)]
            if error is not None
        ]

    def _bounds_hold(self, info: FunctionInfo, point: Point, probe: t.Probe) -> bool:
        for name, wanted in probe.bounds.items():
            actual = operand_type(info, point, name)
            if probe.chosen and actual is not None and (actual,) != flats(wanted):
                return False  # another choice of types may fit
            if actual is None or (actual and (actual,) != flats(wanted)):
                found = "is not there" if actual is None else f"is {actual}, not {wanted}"
                self.skipped[probe.rule, f"{name} {found}"] += 1
                return False
        return True


def _two_alts(info: FunctionInfo, first: Firing, second: Firing) -> WeaveError:
    name = info.name or f"#{info.fid}"
    return WeaveError(
        f"two alt probes at one instruction, {info.mnemonic(first.point.opidx)} in {name}"
        f" (pc {info.pc(first.point.opidx)}): {first.left.probe.rule} and"
        f" {second.left.probe.rule}; give them predicates that exclude each other"
    )


def operand_type(info: FunctionInfo, point: Point, name: str) -> str | None:
    """The core type of ``argN``, ``resN``, ``localN`` or ``paramN`` at a point.

    "" where the code cannot run and the type is anything; None when there is no such operand.
    """
    match = _OPERAND.fullmatch(name)
    if match is None:
        return None
    number = int(match[2])
    if match[1] == "local":
        types = local_types(info)
        return types[number] if number < len(types) else None
    if point.package == "func":
        kinds = _of_function(info, point, match[1])
        return str(kinds[number]) if number < len(kinds) else None
    if point.package != "opcode" or OPCODE_EVENTS[point.event].find(name) is None:
        return None
    typing = info.typing(point.opidx)
    known = typing.operands if match[1] == "arg" else typing.results
    if number >= len(known):
        return "" if not typing.reachable and match[1] == "res" else None
    return known[number] or ""


def _of_function(info: FunctionInfo, point: Point, prefix: str) -> Sequence[object]:
    """What ``argN``, ``paramN`` and ``resN`` are numbered in where a function begins or ends."""
    type_ = info.module.func_type(info.fid)
    if point.event == "entry" and prefix != "res":
        return type_.params if prefix == "param" else type_.params[::-1]
    # A call that ends the program is a way out without a result.
    return type_.results[::-1] if point.mode == "exit" and prefix == "res" else ()


def local_types(info: FunctionInfo) -> list[str]:
    """Parameters and locals of a function."""
    types = list(map(str, info.module.func_type(info.fid).params))
    for count, kind in info.body.locals:
        types += [str(kind)] * count
    return types


class Facts(Mapping[str, Any]):
    """The facts of a site and those of the script, as one mapping."""

    __slots__ = ("_extra", "_statics")

    def __init__(self, statics: Mapping[str, Any], extra: Mapping[str, Any]) -> None:
        self._statics, self._extra = statics, extra

    def __getitem__(self, name: str) -> Any:
        return self._extra[name] if name in self._extra else self._statics[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._extra
        yield from self._statics

    def __len__(self) -> int:
        return len(self._extra) + len(self._statics)

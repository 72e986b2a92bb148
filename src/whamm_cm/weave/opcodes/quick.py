"""Sites where what fires, and its code, depend on the opcode alone.

Functions that have no others are searched, not decoded, and written without a look at types or
blocks.  What comes out is what the general way would make of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from whamm_cm.binary.leb import unsigned
from whamm_cm.binary.opcodes import Opcode
from whamm_cm.codegen.script.types import flats
from whamm_cm.ir.core import CoreModule
from whamm_cm.ir.signatures import NUMBERS, signature
from whamm_cm.lang import tree as t
from whamm_cm.lang.events import OPCODE_EVENTS, opcodes_of
from whamm_cm.lang.walk import walk
from whamm_cm.weave.modules.function import CALLS, GOING, FunctionInfo
from whamm_cm.weave.modules.inject import FunctionEditor
from whamm_cm.weave.modules.points import Point
from whamm_cm.weave.opcodes.beat import pieces
from whamm_cm.weave.opcodes.counters import Cell
from whamm_cm.weave.opcodes.leftover import guest_cells, increments
from whamm_cm.weave.opcodes.match import NEEDED, Firing, Left, Matcher, Prober
from whamm_cm.weave.opcodes.template import Slot

if TYPE_CHECKING:
    from whamm_cm.weave.opcodes.emit import GuestWeaver
    from whamm_cm.weave.opcodes.sites import Compiled

#: Not in a table of signatures, with an i32 on top.
_CONDITIONS = frozenset(("if", "br_if", "br_table", "select"))
#: Instructions behind which a run ends: two of them are never counted together.
_ENDS = GOING | CALLS | _CONDITIONS - {"select"} | {"br_on_null", "br_on_non_null"}


@cache
def fixed_operands(event: str) -> tuple[str, ...]:
    """The types of the topmost operands of an event's opcodes, top first, as far as these alone
    decide them."""
    found = {_fixed(opcode) for opcode in opcodes_of(event)}
    return found.pop() if len(found) == 1 else ()


def _fixed(opcode: Opcode) -> tuple[str, ...]:
    if opcode.mnemonic in _CONDITIONS:
        return ("i32",)
    kinds = []
    for word in reversed(signature(opcode).pops):
        if word not in NUMBERS:
            break
        kinds.append(word)
    return tuple(kinds)


def solitary(matcher: Matcher, counters: Collection[t.Variable]) -> bool:
    """Whether no two counters can ever be counted at once, as none of their sites share a run."""
    return all(
        opcode.mnemonic in _ENDS
        for (package, event, mode), probers in matcher.by_event.items()
        if package == "opcode" and mode == "before"
        for opcode in opcodes_of(event)
        if any(_counts(prober, counters) for prober in probers)
    )


def _counts(prober: Prober, counters: Collection[t.Variable]) -> bool:
    """Whether a site of the probe may be a counter's; facts that are still open may decide it."""
    if any(isinstance(node, t.Static) for node in walk(*prober.folder.body)):
        return True
    left = Left(prober.probe, None, prober.folder.body, (), (), ())
    return increments(left, counters) is not None


@dataclass(slots=True)
class Finder:
    """Finds the functions of one module that can go the quick way."""

    matcher: Matcher
    solo: bool
    counters: Collection[t.Variable]
    kinds: dict[Opcode, Kind] = field(default_factory=dict)
    wanted: set[Opcode] = field(default_factory=set)

    def __post_init__(self) -> None:
        by_event = self.matcher.by_event
        events = dict.fromkeys(event for package, event, _ in by_event if package == "opcode")
        if any(package != "opcode" for package, *_ in by_event) or self._has_builtins():
            return
        for event in events:
            self.wanted.update(opcodes_of(event))
            lefts = self._lefts(event)
            if lefts is not None:
                self.kinds.update(dict.fromkeys(opcodes_of(event), Kind(event, lefts)))

    def _has_builtins(self) -> bool:
        """Whether a probe asks for what may have to be kept in functions without sites."""
        return any(
            isinstance(node, t.Builtin | t.Bound) and node.name in NEEDED
            for probers in self.matcher.by_event.values()
            for prober in probers
            for node in walk(*_code(prober))
        )

    def _lefts(self, event: str) -> tuple[Left, ...] | None:
        """What fires at each site of an event; None when sites differ."""
        modes = [mode for package, name, mode in self.matcher.by_event if name == event]
        if modes != ["before"]:
            return None
        found, constants = [], OPCODE_EVENTS[event].constants
        for prober in self.matcher.by_event["opcode", event, "before"]:
            known = constants.keys() >= prober.folder.relevant and not prober.folder.calls_static
            if not (known and _bounded(prober.probe, event)):
                return None
            left = prober.at(constants)
            if left is not None and not self._quick(left, event):
                return None
            if left is not None:
                found.append(left)
        return tuple(found)

    def _quick(self, left: Left, event: str) -> bool:
        fixed = len(fixed_operands(event))
        return (
            not (left.statics or left.builtins)
            and all(name in _ARGS[:fixed] for name in left.bound)
            and len(guest_cells(left)) == len(left.cells)
            and (self.solo or increments(left, self.counters) is None)
        )

    def find(
        self, module: CoreModule, skipped: Collection[int]
    ) -> tuple[dict[int, Sites], list[int]]:
        """Functions to go the quick way, and those that hold a wanted opcode and cannot; those
        ``skipped`` never do."""
        quick: dict[int, Sites] = {}
        slow: list[int] = []
        kinds = self.kinds
        for index, found in module.find(self.wanted).by_span():
            opcodes = dict.fromkeys([opcode for _, opcode, _ in found])
            if index in skipped or not opcodes.keys() <= kinds.keys():
                slow.append(index)
                continue
            sites = [(pos, kinds[opcode]) for pos, opcode, _ in found if kinds[opcode].lefts]
            if sites:
                quick[index] = Sites(FunctionInfo(module, index), sites)
        return quick, slow


_ARGS = tuple(f"arg{number}" for number in range(16))


def _code(prober: Prober) -> list[t.Expr | t.Stmt]:
    predicate = prober.folder.predicate
    return [*prober.folder.body, *([] if predicate is None else [predicate])]


def _bounded(probe: t.Probe, event: str) -> bool:
    """Whether the probe's bounds hold at every site."""
    known = dict(zip(_ARGS, fixed_operands(event), strict=False))
    return all(
        OPCODE_EVENTS[event].find(name) is not None and flats(wanted) == (known.get(name),)
        for name, wanted in probe.bounds.items()
    )


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """What fires at each site of an event."""

    event: str
    lefts: tuple[Left, ...]


@dataclass(frozen=True, slots=True)
class Sites:
    """A function with the positions of its sites and what fires there."""

    info: FunctionInfo
    found: list[tuple[int, Kind]]

    @property
    def lefts(self) -> list[Left]:
        """In order of appearance."""
        return [left for kind in dict.fromkeys(k for _, k in self.found) for left in kind.lefts]

    @property
    def firings(self) -> int:
        return sum([len(kind.lefts) for _, kind in self.found])


@dataclass(slots=True)
class _Shape:
    """What stands at each site of a kind: ``parts`` with slots of locals (of the types ``locals``)
    and of ``cells``."""

    cells: list[Cell] = field(default_factory=list)
    parts: list[bytes | Slot] = field(default_factory=list)
    locals: list[str] = field(default_factory=list)
    made: dict[tuple[int, ...], _Format] = field(default_factory=dict)

    def take(self, compiled: Compiled, cells: Sequence[Cell]) -> None:
        """One left's code, behind what is there."""
        cells_ = len(self.cells)
        first = {"local": len(self.locals), "cell": cells_, "address": cells_}
        for part in compiled.here.parts:
            if isinstance(part, Slot):
                part = part._replace(number=part.number + first[part.kind])
            self.parts.append(part)
        self.locals += [*compiled.operands, *compiled.here.locals[len(compiled.operands) :]]
        self.cells += cells

    def format(self, locals_: tuple[int, ...]) -> _Format:
        """The code with these locals."""
        if locals_ not in self.made:
            text, order = b"", []
            for part in self.parts:
                if isinstance(part, bytes):
                    text += part.replace(b"%", b"%%")
                elif part.kind == "local":
                    text += unsigned(locals_[part.number]).replace(b"%", b"%%")
                else:
                    text += b"%b"  # a cell, or its address
                    order.append(part.number)
            self.made[locals_] = text, (itemgetter(*order) if order else _nothing)
        return self.made[locals_]


#: Code as a format, and what takes its arguments from the indices of a site's cells.
_Format: TypeAlias = "tuple[bytes, Callable[[Sequence[bytes]], Any]]"


def _nothing(cells: Sequence[bytes]) -> tuple[()]:
    return ()


@dataclass(slots=True)
class _Here:
    """A shape in one function."""

    shape: _Shape
    format: _Format


@dataclass(slots=True)
class QuickWriter:
    """Writes functions the quick way; cells and rows come in the general order."""

    weaver: GuestWeaver
    known: dict[int, list[Cell]] = field(default_factory=dict)
    shapes: dict[Kind, _Shape] = field(default_factory=dict)

    def write(self, sites: Sites) -> None:
        info, found, counters = sites.info, sites.found, self.weaver.counted
        editor = FunctionEditor(info)
        here: dict[Kind, _Here] = {}
        cells: list[Cell] = []
        pcs: list[int] = []
        start = info.pc(0) - info.body.code
        for pos, kind in found:
            one = here.get(kind)
            if one is None:
                one = here[kind] = self._here(editor, kind)
            cells += one.shape.cells
            pcs += [pos + start] * len(one.shape.cells)
        spots = counters.slots(counters.cells(info, cells, pcs))
        added, at = list[tuple[int, bytes]](), 0
        for pos, kind in found:
            one = here[kind]
            text, pick = one.format
            stop = at + len(one.shape.cells)
            added.append((pos, text % pick(spots[at:stop])))
            at = stop
        beat = self.weaver.beat
        if beat is not None:
            added = beat.quick(info.module, info.index, added)
        self.weaver.put(info, pieces(info.module, info.index, added), editor.extra_locals)

    def _here(self, editor: FunctionEditor, kind: Kind) -> _Here:
        if kind not in self.shapes:
            shape = self.shapes[kind] = _Shape()
            for left in kind.lefts:
                firing = Firing(Point(0, "opcode", kind.event, "before"), left, {})
                compiled = self.weaver.compiler.compiled(firing, editor)
                assert compiled is not None and compiled.before is None
                shape.take(compiled, self._cells(left))
        shape = self.shapes[kind]
        # Locals are shared by the sites of a function, so one site of a kind is like another.
        locals_ = tuple([editor.local(local, id(kind)) for local in shape.locals])
        return _Here(shape, shape.format(locals_))

    def _cells(self, left: Left) -> list[Cell]:
        if id(left) not in self.known:
            self.known[id(left)] = self.weaver.cells_of(left)
        return self.known[id(left)]

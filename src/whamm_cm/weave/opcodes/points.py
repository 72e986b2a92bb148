"""Where events happen: the points of a module that wanted events match."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import field
from typing import NamedTuple, Protocol, TypeAlias

from whamm_cm.analysis.inlined import SourceFunction
from whamm_cm.dataclass import dataclass
from whamm_cm.lang.events import opcodes_of
from whamm_cm.wasm.function import FunctionInfo, runs
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.opcodes import OPCODES, Opcode

#: (package, event, mode) as rules are expanded: ("opcode", "br_if", "before").
Event: TypeAlias = tuple[str, str, str]


class Point(NamedTuple):
    """One event at one instruction.

    ``mode`` says where code goes: an opcode's mode; ``entry`` and ``exit`` for func; ``before`` for
    block (as whamm has it ``after``, too), and for ``func:exit`` at a call that ends the program.
    ``again`` of a line: when control does not come there from ``first``, where the line begins.
    ``instr_count`` is set for ``block:end``; ``source``: the function of the source whose code, put
    in place of a call, is entered there.
    """

    opidx: int
    package: str
    event: str
    mode: str
    instr_count: int | None = None
    source: SourceFunction | None = None
    first: int = -1

    @property
    def enters(self) -> bool:
        """Whether it is the entry of a whole function of the module."""
        return self.package in ("func", "source") and self.mode == "entry"

    @property
    def leaves(self) -> bool:
        """Whether it is a call that ends the program, and so leaves the function."""
        return self.mode == "before" and self.package in ("func", "source") and self.source is None


@dataclass(slots=True)
class _Wanted:
    """``opcodes``: opcode → its wanted (event, mode); ``func`` and ``block``: wanted events."""

    opcodes: dict[Opcode, list[tuple[str, str]]] = field(default_factory=dict)
    func: list[str] = field(default_factory=list)
    block: list[str] = field(default_factory=list)
    places: SourcePoints | None = None

    @classmethod
    def of(cls, events: Iterable[Event], places: SourcePoints | None = None) -> _Wanted:
        wanted = cls(places=places)
        for package, event, mode in events:
            if package == "opcode":
                for opcode in opcodes_of(event):
                    wanted.opcodes.setdefault(opcode, []).append((event, mode))
            elif package in ("func", "block"):
                getattr(wanted, package).append(event)
        return wanted

    @property
    def everywhere(self) -> bool:
        return bool(self.func or self.block)


#: Imports that do not come back: the program ends.
_PROGRAM_EXITS = re.compile(
    r"wasi_(snapshot_preview1|unstable)#proc_exit|wasi:cli/exit(@[^#]*)?#exit(-with-code)?"
)


def program_exits(module: CoreModule) -> frozenset[int]:
    """Function indices of the imports that end the program."""
    return frozenset(
        index
        for index, item in enumerate(module.imported("func"))
        if _PROGRAM_EXITS.fullmatch(f"{item.module}#{item.name}")
    )


def exit_calls(info: FunctionInfo) -> tuple[int, ...]:
    """The calls of the function that end the program, by opidx."""
    exits = program_exits(info.module)
    if not exits:
        return ()
    return tuple(
        opidx
        for opidx, (_, opcode, _) in enumerate(info.steps)
        if opcode.mnemonic in ("call", "return_call") and info.immediates(opidx)[0] in exits
    )


#: Before these a block of straight-line code ends, as whamm has it.
_BLOCK_ENDS = frozenset(
    ("if", "else", "catch", "catch_all", "throw", "rethrow", "return", "unreachable")
    + ("br", "br_table", "br_if", "br_on_cast", "br_on_cast_fail", "br_on_null", "br_on_non_null")
)


def _blocks(info: FunctionInfo, events: Sequence[str]) -> Iterator[Point]:
    """Where the runs of a function begin and end."""
    for first, last, *_ in runs(info, split_at_calls=True):
        if "start" in events:
            yield Point(first, "block", "start", "before")
        if "end" in events:
            yield Point(last, "block", "end", "before", last - first + 1)


class _WhammBlocks:
    """whamm's walk over a function that finds ``block:start`` and ``block:end``.

    The two events share the state, and a handler that does nothing at a ``loop`` or ``end`` does
    not count that instruction: scripts' numbers depend on both.
    """

    def __init__(self, info: FunctionInfo, events: Sequence[str]) -> None:
        self.info = info
        self.events = [event for event in ("end", "start") if event in events]
        self.start = self.end = 0
        self.exits = frozenset(exit_calls(info))

    def points(self) -> Iterator[Point]:
        for opidx, (_, opcode, _) in enumerate(self.info.steps):
            for event in self.events:
                mode, count = self._handle(opidx, opcode.mnemonic, event)
                if mode:
                    counted = count if event == "end" else None
                    yield Point(opidx, "block", event, mode, counted)

    def _handle(self, opidx: int, name: str, event: str) -> tuple[str, int | None]:
        """(mode or nothing, instructions counted) of one event at one instruction."""
        first = opidx == 0
        if first:
            self.start = self.end = 0
        if name in ("loop", "end"):
            if self.start != opidx:
                after = name == "end" and opidx != self.info.last
                return "after" if after else "before", self._count()
            if first and event == "start":
                self.end += 1
                return "before", None
            return "", None
        self.end += 1
        if name in _BLOCK_ENDS:
            return "before", self._count()
        if opidx in self.exits and event == "end":
            return "before", self.end - self.start
        if first and event == "start":
            return "before", None
        return "", None

    def _count(self) -> int:
        count, self.start = self.end - self.start, self.end
        return count


def _func_points(info: FunctionInfo, events: Sequence[str]) -> Iterator[Point]:
    for event in events:
        yield Point(0, "func", event, event)
    if "exit" in events:
        for opidx in exit_calls(info):
            if info.mnemonic(opidx) == "call":  # what calls in its place is a way out anyway
                yield Point(opidx, "func", "exit", "before")


class SourcePoints(Protocol):
    """What finds the points of rules on places in the source."""

    def indices(self, module: CoreModule) -> Collection[int]:
        """The defined functions that may hold some."""

    def points(self, info: FunctionInfo) -> Iterable[Point]:
        """Those of one function, in any order."""


def points(info: FunctionInfo, events: Iterable[Event], as_whamm: bool = False) -> list[Point]:
    """The points of one function, by opidx; at one instruction opcodes before func before block.

    ``as_whamm``: basic blocks are what whamm takes for them.
    """
    return _points(info, _Wanted.of(events), as_whamm)


def _points(info: FunctionInfo, wanted: _Wanted, as_whamm: bool) -> list[Point]:
    found: list[Point] = []
    if wanted.opcodes:
        for opidx, (_, opcode, _) in enumerate(info.steps):
            for event, mode in wanted.opcodes.get(opcode, ()):
                found.append(Point(opidx, "opcode", event, mode))
    if wanted.everywhere:
        found += _func_points(info, wanted.func)
        if wanted.block and as_whamm:
            found += _WhammBlocks(info, wanted.block).points()
        elif wanted.block:
            found += _blocks(info, wanted.block)
    if wanted.places is not None:
        found += wanted.places.points(info)
    if wanted.everywhere or wanted.places is not None:
        found.sort(key=lambda point: point.opidx)  # stable
    return found


def find_events(
    module: CoreModule,
    events: Iterable[Event],
    indices: Iterable[int] | None = None,
    as_whamm: bool = False,
    places: SourcePoints | None = None,
) -> Iterator[tuple[FunctionInfo, list[Point]]]:
    """Every function with points, in index order, and its points in the order of :func:`points`.

    Events are taken in the given order at one instruction; unknown ones match nothing.  Functions
    that hold none of the opcodes are searched, not decoded.  ``indices``: only these functions;
    ``as_whamm``: see :func:`points`.
    """
    wanted = _Wanted.of(events, places)
    opcodes = frozenset(wanted.opcodes)
    named = places.indices(module) if places is not None else ()
    if not opcodes and not wanted.everywhere and not named:
        return
    chosen = list(range(len(module.bodies)) if indices is None else indices)
    if not wanted.everywhere and 2 * len(opcodes) < len(OPCODES):
        spans = module.find(opcodes, chosen).spans if opcodes else ()
        holding = {chosen[place] for place in spans}.union(named)
        chosen = [index for index in chosen if index in holding]
    for place, steps in module.find(None, chosen).by_span():
        info = FunctionInfo(module, chosen[place], steps)
        found = _points(info, wanted, as_whamm)
        if found:
            info.expected = {opidx + more for opidx, *_ in found for more in (0, 1)}
            yield info, found

"""Where rules on the source fire: before statements of lines, at functions of the source.

A *stretch* is code in a row that is of one line.  A rule on the line fires where it begins, behind
``block``, ``loop``, ``end`` and the like, which stand for nothing in the source: what branches
there comes to the line, too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import field

from whamm_cm.analysis.dwarf import SourceFile, SourceLines
from whamm_cm.analysis.inlined import SourceFunction
from whamm_cm.analysis.source import Sources
from whamm_cm.dataclass import dataclass
from whamm_cm.demangle.name import demangle
from whamm_cm.kernel import layout
from whamm_cm.lang.places import SourceRule
from whamm_cm.wasm.function import FUNCTION, FunctionInfo
from whamm_cm.wasm.module import CoreModule
from whamm_cm.weave.opcodes.points import Point, exit_calls

#: What stands for nothing in the source; an ``if`` takes a condition.
_OPENS = frozenset(("block", "loop", "try_table", "try"))
_STRUCTURE = _OPENS | {"end", "else", "catch", "catch_all", "delegate"}
INLINED_EXIT = "it was put in place of a call, and where such code is left is not known"


@dataclass(slots=True)
class Stretch:
    """``at``: the opidx where a probe stands, -1: nowhere; ``last``: of its last instruction;
    ``jumps``: it only branches; ``again``: where a loop in it begins that other lines lead back to,
    -1: nowhere."""

    file: str
    line: int
    at: int = -1
    last: int = -1
    jumps: bool = True
    statement: bool = False
    again: int = -1

    def same(self, other: Stretch) -> bool:
        return (self.file, self.line) == (other.file, other.line)


def stretches(info: FunctionInfo, lines: SourceLines) -> list[Stretch]:
    """Those of a function, in order, that have a place for a probe.  Code of no line does not end
    one, nor does code that was put in place of a call in it."""
    found: list[Stretch] = []
    open_: list[tuple[int, Stretch]] = []  # of each function around, by its number
    owners: list[Stretch | None] = []
    for opidx, (pos, opcode, _) in enumerate(info.steps):
        row = lines.row(pos)
        owners.append(owners[-1] if row is None and owners else None)
        if row is None:
            continue
        number = lines.number(pos)
        while open_ and open_[-1][0] != number and not _inside(lines, pos, open_[-1][0]):
            open_.pop()
        here = open_[-1][1] if open_ and open_[-1][0] == number else None
        if here is None or (here.file, here.line) != (row.file, row.line):
            if here is not None:
                open_.pop()
            here = Stretch(row.file, row.line)
            found.append(here)
            open_.append((number, here))
        owners[-1], here.last = here, opidx
        here.statement |= row.statement
        if opcode.mnemonic not in _STRUCTURE:
            here.jumps &= opcode.mnemonic == "br"
            if here.at < 0 and here.statement:
                here.at = opidx
    placed = [one for one in found if one.at >= 0]
    for one in placed:
        one.again = _comes_again(info, lines, one, owners)
    return [one for one in placed if not _only_comes_back(info, one, placed)]


def _comes_again(
    info: FunctionInfo, lines: SourceLines, stretch: Stretch, owners: list[Stretch | None]
) -> int:
    """The first instruction of a loop in a stretch, if it is of a statement, and all that leads
    back to it is of other lines, or does nothing but that; -1: none."""
    for opidx in range(stretch.at + 1, stretch.last):
        if info.mnemonic(opidx) == "loop":
            back = range(opidx + 1, info.control.ends[opidx])
            sources = [owners[at] for at in back if opidx in info.targets(at)]
            own = (one is not None and one.same(stretch) and not one.jumps for one in sources)
            head = _behind(info, opidx)
            begin = lines.rows(info.steps[opidx][0], info.steps[head][0] + 1)
            row = lines.row(info.steps[head][0])
            # What goes before all statements of a function is of its first line and no column.
            its = row is not None and (row.column > 0 or any(one.statement for one in begin))
            there = owners[head] is stretch and its and sources
            return head if there and not any(own) else -1
        if info.targets(opidx) or info.mnemonic(opidx) in ("if", "else"):
            return -1
    return -1


def _behind(info: FunctionInfo, opidx: int) -> int:
    """The first instruction behind another one that stands for something in the source."""
    opidx += 1
    while opidx < info.last and info.mnemonic(opidx) in _STRUCTURE:
        opidx += 1
    return opidx


def _inside(lines: SourceLines, pos: int, number: int) -> bool:
    """Whether an instruction is inside of a function of the source."""
    return number >= 0 and lines.functions()[number].around(pos)


def _only_comes_back(info: FunctionInfo, stretch: Stretch, all_: list[Stretch]) -> bool:
    """Whether it only branches to where a stretch of the same line begins, as loops do."""
    if not stretch.jumps:
        return False
    (target,) = info.targets(stretch.at)
    if target == FUNCTION:
        return False
    at = _behind(info, target if info.mnemonic(target) == "loop" else info.control.ends[target])
    return any(one.same(stretch) for one in all_ if at in (one.at, one.again))


@dataclass(slots=True)
class Places:
    """The points of rules, by the name of their event.  ``skipped``: by rule and reason, how many
    are none."""

    rules: Mapping[str, SourceRule]
    sources: Sources
    skipped: Counter[tuple[str, str]]
    _files: dict[tuple[str, str], bool] = field(default_factory=dict)
    _named: dict[int, dict[int, list[tuple[SourceFunction, str]]]] = field(default_factory=dict)

    # --- which

    def _takes_file(self, event: str, file: str) -> bool:
        key = event, file
        if key not in self._files:
            paths = {file, file.path} if isinstance(file, SourceFile) else {file}
            self._files[key] = any(map(self.rules[event].takes_file, paths))
        return self._files[key]

    def _takes(self, event: str, one: SourceFunction) -> bool:
        rule = self.rules[event]
        return self._takes_file(event, one.file) and rule.takes_function(demangle(one.name))

    def _of(self, package: str) -> list[str]:
        return [event for event, rule in self.rules.items() if rule.package == package]

    # --- where

    def indices(self, module: CoreModule) -> frozenset[int]:
        """The defined functions that may hold points."""
        lines = self.sources.of(module)
        if lines is None:
            return frozenset()
        ends = module.bodies.column(layout.END)
        found = {bisect_right(ends, at) for at in self._offsets(lines)}
        return frozenset(found | self._entered(module, lines).keys())

    def _offsets(self, lines: SourceLines) -> Iterator[int]:
        events = self._of("line")
        for offset, row in lines.begins() if events else ():
            for event in events:
                if self.rules[event].takes_line(row.line) and self._takes_file(event, row.file):
                    yield offset
                    break

    def _entered(
        self, module: CoreModule, lines: SourceLines
    ) -> dict[int, list[tuple[SourceFunction, str]]]:
        """By defined function: what is meant of the source that is entered in it, and by which
        event."""
        if id(lines) not in self._named:
            found = self._named[id(lines)] = {}
            ends = module.bodies.column(layout.END)
            events = self._of("source")
            for one in lines.functions() if events else ():
                for event in events:
                    if self._takes(event, one):
                        index = bisect_right(ends, one.entry)
                        found.setdefault(index, []).append((one, event))
                        self._count_exit(event, one)
        return self._named[id(lines)]

    def _count_exit(self, event: str, one: SourceFunction) -> None:
        if one.inlined and self.rules[event].mode == "exit":
            self.skipped[self.rules[event].name, INLINED_EXIT] += 1

    def points(self, info: FunctionInfo) -> Iterator[Point]:
        lines = self.sources.of(info.module)
        if lines is None:
            return
        events = self._of("line")
        for one in stretches(info, lines) if events else ():
            for event in events:
                if self.rules[event].takes_line(one.line) and self._takes_file(event, one.file):
                    yield Point(one.at, "line", event, "before")
                    if one.again >= 0:
                        yield Point(one.again, "line", event, "again", first=one.at)
        for function, event in self._entered(info.module, lines).get(info.index, ()):
            yield from self._at_function(info, function, event)

    def _at_function(self, info: FunctionInfo, one: SourceFunction, event: str) -> Iterator[Point]:
        mode = self.rules[event].mode
        if not one.inlined:
            yield Point(0, "source", event, mode)
            for opidx in exit_calls(info) if mode == "exit" else ():
                if info.mnemonic(opidx) == "call":
                    yield Point(opidx, "source", event, "before")
        elif mode == "entry":
            yield Point(entered_at(info, one), "source", event, "before", None, one)


def entered_at(info: FunctionInfo, one: SourceFunction) -> int:
    """The instruction before which a copy of a function is entered.  A loop in front of it is of it
    if nothing else goes round."""
    at = info.at(one.entry)
    while at < info.last and info.mnemonic(at) in _STRUCTURE - _OPENS:
        at += 1
    found, before = at, at - 1
    while before >= 0 and info.mnemonic(before) in _OPENS:
        if info.mnemonic(before) == "loop":
            if not _goes_round_inside(info, before, one):
                break
            found = before
        before -= 1
    return found


def _goes_round_inside(info: FunctionInfo, loop: int, one: SourceFunction) -> bool:
    """Whether branches to a loop are there, all in a function's code."""
    back = [
        opidx for opidx in range(loop + 1, info.control.ends[loop]) if loop in info.targets(opidx)
    ]
    return bool(back) and all(one.around(info.steps[opidx][0]) for opidx in back)

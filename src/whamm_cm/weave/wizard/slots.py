"""Where in a function an engine that only knows "in front of an instruction" has to fire a probe.

A branch to a block's ``end``, or to a ``loop``, is followed by that instruction, so the engine
comes to what is in front of it both by the branch and by running into it; code that is woven in
there only runs the second way.  The branches therefore say that they jump (``Jump``), and what must
not follow a jump asks.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import WeaveError
from whamm_cm.wasm.function import ARMS, FUNCTION, GOING, RETURNS, THROWS, FunctionInfo
from whamm_cm.weave.opcodes.match import Firing


class Rank(IntEnum):
    """What stands first in front of an instruction, as where code is woven (``inject``)."""

    AFTER = 0  # the instruction before it
    BEHIND = 1  # a block that ends, or begins, with the instruction before it
    BEFORE = 2
    ENDING = 3  # the program
    ENTRY = 4
    LEAVING = 5  # an arm, then the function
    EXIT = 6
    LAST = 7


class Slot(NamedTuple):
    """In front of instruction ``opidx``; ``falling``: not where a jump leads there."""

    opidx: int
    rank: Rank
    falling: bool = True


class Jump(NamedTuple):
    """What is noted at ``opidx``: ``kind`` as in ``emit.script.hosted``; ``marked``: for each
    operand of a ``br_table`` whether it leads to a place that asks."""

    opidx: int
    kind: str
    marked: tuple[bool, ...] = ()


def slots(firing: Firing, info: FunctionInfo, thrown: bool) -> list[Slot]:
    """Where a probe is to fire: nowhere if its code never runs.  ``thrown``: a function is also
    left where it traps or throws.  WeaveError for what the engine has no way to do."""
    point = firing.point
    if point.enters:
        return [Slot(0, Rank.ENTRY)]
    if point.package in ("func", "source") and point.mode == "exit":
        ways = RETURNS | THROWS if thrown else RETURNS
        last = Slot(info.last, Rank.EXIT, False)
        return [Slot(way, Rank.EXIT) for way in info.of(ways)] + [last]
    if point.mode == "before":
        return [Slot(point.opidx, Rank.ENDING if point.leaves else Rank.BEFORE)]
    if point.mode == "after":
        return _after(point.opidx, info)
    if point.mode == "entry":
        return [Slot(point.opidx + 1, Rank.BEHIND)]
    if point.mode == "exit":
        return [Slot(info.arm_end(point.opidx), Rank.LEAVING)]
    why = {
        "alt": "cannot replace instructions",
        "at_target": "does not say which branch led to a place",
    }
    raise refused(firing, info, why[point.mode])


def _after(opidx: int, info: FunctionInfo) -> list[Slot]:
    name, control = info.mnemonic(opidx), info.control
    if info.opcode(opidx).nesting > 0 or name == "else":
        return [Slot(control.ends[control.openers.get(opidx, opidx)] + 1, Rank.BEHIND)]
    if opidx == info.last or name in GOING:
        return []
    return [Slot(opidx + 1, Rank.AFTER)]


def refused(firing: Firing, info: FunctionInfo, why: str) -> WeaveError:
    opidx = firing.point.opidx
    name = info.name or f"#{info.fid}"
    return WeaveError(
        f"{firing.left.probe.rule} at {info.mnemonic(opidx)} in {name} (pc {info.pc(opidx)}): the"
        f" Wizard engine {why}"
    )


#: What branches lead to.
_LANDINGS = ("end", "loop", "delegate")
#: Branches by what decides whether they jump.
_KINDS = {
    "br": "jump", "br_if": "jump if", "br_table": "jump by table",
    "try_table": "catch",
    **dict.fromkeys(("br_on_null", "br_on_non_null", "br_on_cast", "br_on_cast_fail"), "perhaps"),
}  # fmt: skip


@dataclass(slots=True)
class Jumps:
    """The ways to the ``end``s and ``loop``s of one function."""

    info: FunctionInfo

    def landing(self, opener: int) -> int:
        """The instruction that a branch to a block is followed by."""
        if opener != FUNCTION and self.info.mnemonic(opener) == "loop":
            return opener
        return self.info.control.ends[opener]

    def found(self, wanted: Iterable[int]) -> tuple[list[Jump], set[int], set[int]]:
        """The jumps to the ``wanted`` instructions, in order; which of those they lead to; and
        which are also reached in ways that cannot be told.  Where something is caught, the module
        also needs ``thrown`` of all its functions."""
        info = self.info
        asked = {opidx for opidx in wanted if info.mnemonic(opidx) in _LANDINGS}
        jumps: list[Jump] = []
        known: set[int] = set()
        blurred: set[int] = set()
        for opidx, (_, opcode, _) in enumerate(info.steps):
            name = opcode.mnemonic
            kind, leads = self._leads(opidx, name)
            if not asked.intersection(leads):
                continue
            stays = kind == "perhaps"
            if not kind or (stays and opidx + 1 in asked):
                blurred.update(asked.intersection(leads))
                continue
            known.update(asked.intersection(leads))
            if kind == "catch":
                continue
            if stays:
                jumps += Jump(opidx, "jump"), Jump(opidx + 1, "stay")
                continue
            marked = tuple(each in asked for each in leads) if name == "br_table" else ()
            jumps.append(Jump(opidx, kind, marked))
        return jumps, known, blurred

    def thrown(self) -> tuple[list[Jump], list[int]]:
        """What throws, and where what is caught leads."""
        info = self.info
        jumps = [Jump(opidx, "jump") for opidx in info.of(THROWS - {"unreachable"})]
        caught = [opidx + 1 for opidx in info.of(("catch", "catch_all"))]
        for opidx in info.of(("try_table",)):
            caught += map(self.landing, info.targets(opidx))
        return jumps, caught

    def _leads(self, opidx: int, name: str) -> tuple[str, list[int]]:
        """How an instruction jumps ("perhaps": what decides is a reference, which the engine does
        not pass; "catch": what throws says so; "" where it cannot be told), and where to."""
        info, control = self.info, self.info.control
        if name == "else":
            return "jump", [control.ends[control.openers[opidx]]]
        if name == "if":
            return "jump unless", [] if control.arms.get(opidx) else [control.ends[opidx]]
        if name in ARMS:
            return "", [control.ends[control.openers[opidx]]]
        leads = [self.landing(info.target(opidx, label)) for label in info.labels(opidx)]
        return _KINDS.get(name, ""), leads

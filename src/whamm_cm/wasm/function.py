"""One function of a core module: its instructions by number, its control structure, its runs.

Instructions are called by ``opidx``, their number in the function from 0 on; every instruction
counts, ``else`` and the last ``end`` too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import NamedTuple, cast

from whamm_cm.errors import DecodeError
from whamm_cm.kernel import layout
from whamm_cm.wasm.immediates import Catch, Handler, Immediate, immediates
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.opcodes import Imm, Opcode
from whamm_cm.wasm.stack import Step, Typing, typings

#: As an opidx: the function itself, where a label names it.
FUNCTION = -1

#: Instructions that end an arm of a block and start another one.
ARMS = frozenset(("else", "catch", "catch_all"))

#: Instructions that return to the caller without reaching the function's last ``end``.
RETURNS = frozenset(("return", "return_call", "return_call_indirect", "return_call_ref"))

#: Instructions that trap, or throw an exception that may be caught in the function itself.
THROWS = frozenset(("unreachable", "throw", "rethrow", "throw_ref"))

#: Instructions after which the next one does not run.
GOING = RETURNS | THROWS | {"br", "br_table"}

#: Kinds of immediates that hold labels.
_LABELS = frozenset((Imm.LABEL, Imm.LABELS, Imm.CATCHES, Imm.HANDLERS))

#: Instructions that may not come back.
CALLS = frozenset(
    ("call", "call_indirect", "call_ref")
    + ("suspend", "switch", "resume", "resume_throw", "resume_throw_ref")
)


class Control(NamedTuple):
    """Blocks by the opidx of the instruction that opens them.

    ``ends``: opener → its ``end`` (or ``delegate``).  ``arms``: opener → its ``else`` or catches in
    order.  ``openers``: ``else``, catch, ``end`` → the opener, FUNCTION for the last ``end``.
    ``inside``: for each instruction, the opener of the innermost block around it; for openers and
    ``end`` the block outside.
    """

    ends: dict[int, int]
    arms: dict[int, list[int]]
    openers: dict[int, int]
    inside: list[int]


class Run(NamedTuple):
    """Instructions from ``first`` to ``last`` that run equally often: all or none of them.

    Code put before ``first``, which is at ``pos``, runs that often.  A trap or an exception in the
    middle is what may break it; ``calls`` says whether an instruction before the last one is a call
    (that may throw, exit or never return).
    """

    first: int
    last: int
    pos: int
    calls: bool


def first_group(module: CoreModule, index: int) -> int:
    """Where the local declarations of a defined function start, behind their number: ``pc`` 1."""
    return module.bodies.words[index * layout.FUNCTION_WORDS + layout.GROUPS]


class FunctionInfo:
    """The defined function ``index`` of ``module``; everything is found when first asked for.

    ``steps``: its instructions if they are known.  DecodeError where the function is malformed.
    """

    def __init__(self, module: CoreModule, index: int, steps: list[Step] | None = None) -> None:
        self.module, self.index = module, index
        if steps is not None:
            self.steps = steps
        self.body = module.bodies[index]
        self._typings: dict[int, Typing] = {}
        #: The instructions whose typing will be asked for.
        self.expected: Collection[int] = ()

    def __repr__(self) -> str:
        return f"<FunctionInfo {self.fid} {self.name!r}>"

    @cached_property
    def fid(self) -> int:
        """The index of the function, imported ones counted."""
        return self.index + len(self.module.imported("func"))

    @cached_property
    def name(self) -> str:
        """The name in the name section, empty when there is none."""
        return self.module.names.functions.get(self.fid, "")

    @cached_property
    def steps(self) -> list[Step]:
        """(position, opcode, end) of every instruction."""
        return list(self.module.instructions(self.index))

    @cached_property
    def _first_group(self) -> int:
        return first_group(self.module, self.index)

    def pc(self, opidx: int) -> int:
        """The offset in the body, which begins with the number of groups of locals: a byte here,
        however it is encoded."""
        pos = self.steps[opidx][0] if opidx else self.body.code
        return pos - self._first_group + 1

    def opcode(self, opidx: int) -> Opcode:
        return self.steps[opidx][1]

    def mnemonic(self, opidx: int) -> str:
        return self.steps[opidx][1].mnemonic

    def at(self, pos: int) -> int:
        """The opidx of the instruction at that position in the module."""
        return bisect_left(self.steps, pos, key=lambda step: step[0])

    def immediates(self, opidx: int) -> tuple[Immediate, ...]:
        pos, opcode, _ = self.steps[opidx]
        return immediates(self.module, pos, opcode) if opcode.immediates else ()

    @cached_property
    def last(self) -> int:
        """The opidx of the last ``end``."""
        return len(self.steps) - 1

    def typing(self, opidx: int) -> Typing:
        """What the instruction takes and leaves.

        The first call types the instructions of ``expected`` (all when there is none such), a call
        for another one the whole function.
        """
        if opidx not in self._typings:
            wanted = self.expected if opidx in self.expected and not self._typings else None
            self._typings = typings(self.module, self.index, wanted, self.steps)
        return self._typings[opidx]

    @cached_property
    def control(self) -> Control:
        found = Control({}, {}, {}, [])
        open_blocks: list[int] = []
        for opidx, (pos, opcode, _) in enumerate(self.steps):
            if opcode.nesting < 0:
                opener = open_blocks.pop() if open_blocks else FUNCTION
                if opener == FUNCTION and opidx != self.last:
                    raise self._error("instructions behind the end of the function", pos)
                found.ends[opener] = opidx
                found.openers[opidx] = opener
            elif opcode.mnemonic in ARMS:
                if not open_blocks:
                    raise self._error(f"{opcode.mnemonic} outside of its block", pos)
                found.openers[opidx] = open_blocks[-1]
                found.arms.setdefault(open_blocks[-1], []).append(opidx)
            found.inside.append(open_blocks[-1] if open_blocks else FUNCTION)
            if opcode.nesting > 0:
                open_blocks.append(opidx)
        if FUNCTION not in found.ends:
            raise self._error("the function has no end", self.body.end)
        return found

    def _error(self, message: str, pos: int) -> DecodeError:
        path = f"{self.module.path}.code[{self.index}]".lstrip(".")
        return DecodeError(message, self.module.offset + pos, path)

    def target(self, opidx: int, label: int) -> int:
        """The opener of the block that ``label`` names in that instruction, or FUNCTION."""
        inside = self.control.inside
        block = inside[opidx]
        for _ in range(label):
            if block == FUNCTION:
                raise self._error(f"there is no label {label}", self.steps[opidx][0])
            block = inside[block]
        return block

    def labels(self, opidx: int) -> tuple[int, ...]:
        """The labels among the immediates, clauses' too, in order; a default is the last one."""
        opcode = self.steps[opidx][1]
        if not _LABELS.intersection(opcode.immediates) or opcode.mnemonic in _NO_BRANCH:
            return ()
        found: list[int] = []
        for kind, value in zip(opcode.immediates, self.immediates(opidx), strict=True):
            if kind in _LABELS:
                found += _labels_of(value)
        return tuple(found)

    def targets(self, opidx: int) -> tuple[int, ...]:
        """Where the instruction may branch to: openers, FUNCTION; each once, in order."""
        return tuple(dict.fromkeys(self.target(opidx, label) for label in self.labels(opidx)))

    def of(self, mnemonics: Collection[str]) -> tuple[int, ...]:
        """The instructions with one of these names."""
        return tuple(i for i, step in enumerate(self.steps) if step[1].mnemonic in mnemonics)

    def arm_end(self, opidx: int) -> int:
        """The instruction that ends the arm that an opener, ``else`` or catch starts."""
        control = self.control
        opener = control.openers.get(opidx, opidx)
        later = [arm for arm in control.arms.get(opener, ()) if arm > opidx]
        return later[0] if later else control.ends[opener]


#: Their labels name what is thrown on or delegated to, no place to go on at.
_NO_BRANCH = frozenset(("rethrow", "delegate"))


def _labels_of(value: Immediate) -> list[int]:
    if isinstance(value, int):
        return [value]
    found = []
    for item in cast("Sequence[int | Catch | Handler]", value):
        label = item if isinstance(item, int) else item.label
        if label is not None:
            found.append(label)
    return found


def _leaders(info: FunctionInfo) -> set[int]:
    """Instructions that need not run as often as the one before them."""
    control, found = info.control, {0}
    for opidx, (_, opcode, _) in enumerate(info.steps):
        name = opcode.mnemonic
        targets = info.targets(opidx)
        for target in targets:
            if target != FUNCTION:
                loop = info.mnemonic(target) == "loop"
                found.add((target if loop else control.ends[target]) + 1)
        two_ways = name in ("if", "try") or name in ARMS or (targets and name != "try_table")
        if two_ways or name in GOING:
            found.add(opidx + 1)
        opener = control.openers.get(opidx)
        if opener not in (None, FUNCTION) and info.mnemonic(opener or 0) in ("if", "try"):
            found.add(opidx + 1)
    return found


def runs(info: FunctionInfo, split_at_calls: bool = False) -> list[Run]:
    """The function as maximal runs, in order; with ``split_at_calls`` a call ends its run."""
    leaders, found = _leaders(info), list[Run]()
    first, calls, called = 0, False, False
    for opidx, (_, opcode, _) in enumerate(info.steps):
        if opidx and (opidx in leaders or (split_at_calls and called)):
            found.append(Run(first, opidx - 1, info.steps[first][0], calls))
            first, calls, called = opidx, False, False
        calls |= called
        called = opcode.mnemonic in CALLS
    found.append(Run(first, info.last, info.steps[first][0], calls))
    return found

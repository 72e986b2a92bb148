"""Random programs of control instructions, and an interpreter that says what happens in them.

A program is a list of statements; the interpreter runs statements, not code, and counts by the
number each instruction has in the code that is printed.  Decisions come from a list of numbers
through an import; when it is used up the program traps.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import strategies as st

CHOICE = "call $choose"


@dataclass
class Statement:
    """``kind``: nop, block, loop, if, br, br_if, br_table, return, unreachable."""

    kind: str
    bodies: list[list[Statement]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    at: int = -1  # opidx of the instruction
    other: int = -1  # of else
    end: int = -1


_NESTING = ("block", "loop", "if")
_FLAT = ("nop", "br_if", "br_if", "br_if", "br_table", "br", "nop", "return", "unreachable")


def choices() -> st.SearchStrategy[list[int]]:
    return st.lists(st.sampled_from((0, 1, 0, 2, 3)), min_size=4, max_size=20)


@st.composite
def _statements(draw: st.DrawFn, depth: int, budget: int) -> list[Statement]:
    found = []
    for _ in range(draw(st.integers(1, 4))):
        nests = budget and draw(st.booleans())
        kind = draw(st.sampled_from(_NESTING if nests else _FLAT))
        labels, bodies = [], []
        if kind.startswith("br"):
            count = draw(st.integers(1, 4)) if kind == "br_table" else 1
            labels = [draw(st.integers(0, depth)) for _ in range(count)]
        if kind in ("block", "loop", "if"):
            arms = draw(st.integers(1, 2)) if kind == "if" else 1
            bodies = [draw(_statements(depth + 1, budget - 1)) for _ in range(arms)]
        found.append(Statement(kind, bodies, labels))
    return found


def programs() -> st.SearchStrategy[list[Statement]]:
    return _statements(0, 4)


def print_code(program: list[Statement]) -> list[str]:
    """The instructions, one each; statements learn where theirs are."""
    out: list[str] = []

    def write(statements: list[Statement]) -> None:
        for one in statements:
            if one.kind in ("if", "br_if", "br_table"):
                out.append(CHOICE)
            one.at = len(out)
            out.append(" ".join([one.kind, *map(str, one.labels)]))
            if one.bodies:
                write(one.bodies[0])
                if len(one.bodies) == 2:
                    one.other = len(out)
                    out.append("else")
                    write(one.bodies[1])
                one.end = len(out)
                out.append("end")

    write(program)
    return out


class Branch(Exception):
    def __init__(self, depth: int, source: int) -> None:
        self.depth, self.source = depth, source


class Stop(Exception):
    """A trap, or a return."""


class TooLong(Exception):
    """The program may not end."""


class Interpreter:
    """``happened``: (mode, opidx) → how often."""

    def __init__(self, choices: list[int]) -> None:
        self.choices = list(choices)
        self.happened = Counter[tuple[str, int]]()
        self.trapped = False
        self.left = 3000

    def run(self, program: list[Statement]) -> Counter[tuple[str, int]]:
        last = len(print_code(program))
        self.tell("func_entry", 0)
        try:
            self.all(program)
            self.tell("before", last)
        except Branch as branch:
            self.tell("at_target", branch.source)
        except Stop:
            return self.happened
        self.tell("func_exit", 0)
        return self.happened

    def tell(self, mode: str, opidx: int) -> None:
        self.happened[mode, opidx] += 1
        self.left -= 1
        if not self.left:
            raise TooLong

    def choose(self, at: int) -> int:
        self.tell("before", at)
        if not self.choices:
            self.trapped = True
            raise Stop
        self.tell("after", at)
        return self.choices.pop(0)

    def all(self, statements: list[Statement]) -> None:
        for one in statements:
            getattr(self, "do_" + one.kind)(one)

    def do_nop(self, one: Statement) -> None:
        self.tell("before", one.at)
        self.tell("after", one.at)

    def do_unreachable(self, one: Statement) -> None:
        self.tell("before", one.at)
        self.trapped = True
        raise Stop

    def do_return(self, one: Statement) -> None:
        self.tell("before", one.at)
        self.tell("func_exit", 0)
        raise Stop

    def do_br(self, one: Statement) -> None:
        self.tell("before", one.at)
        raise Branch(one.labels[0], one.at)

    def do_br_if(self, one: Statement) -> None:
        taken = self.choose(one.at - 1)
        self.tell("before", one.at)
        if taken:
            raise Branch(one.labels[0], one.at)
        self.tell("after", one.at)
        self.tell("at_target", one.at)  # as whamm has it

    def do_br_table(self, one: Statement) -> None:
        chosen = min(self.choose(one.at - 1), len(one.labels) - 1)
        self.tell("before", one.at)
        raise Branch(one.labels[chosen], one.at)

    def arm(self, body: list[Statement], at: int, end: int) -> bool:
        """Run an arm; whether it came to its end, and not to a branch to the block's label."""
        self.tell("entry", at)
        try:
            self.all(body)
        except Branch as branch:
            if branch.depth:
                raise Branch(branch.depth - 1, branch.source) from None
            self.tell("at_target", branch.source)
            return False
        self.tell("exit", at)
        self.tell("before", end)
        return True

    def behind(self, one: Statement) -> None:
        self.tell("after", one.at)
        self.tell("after", one.end)
        if one.other >= 0:
            self.tell("after", one.other)

    def do_block(self, one: Statement) -> None:
        self.tell("before", one.at)
        self.arm(one.bodies[0], one.at, one.end)
        self.behind(one)

    def do_loop(self, one: Statement) -> None:
        self.tell("before", one.at)
        while not self.arm(one.bodies[0], one.at, one.end):
            pass
        self.behind(one)

    def do_if(self, one: Statement) -> None:
        taken = self.choose(one.at - 1)
        self.tell("before", one.at)
        then_end = one.other if one.other >= 0 else one.end
        if taken:
            self.arm(one.bodies[0], one.at, then_end)
        elif one.other >= 0:
            self.arm(one.bodies[1], one.other, one.end)
        self.behind(one)

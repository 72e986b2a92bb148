"""Regular expressions as tables, so that matching takes one step for each byte.

Patterns have what most have: literals, ``.``, ``[a-z]``, ``[^…]``, ``\\d \\w \\s`` and their
opposites, groups, ``|``, ``* + ?`` and ``{m,n}``, and ``^`` and ``$`` for the ends of the string.
Characters are UTF-8; ``.`` and what a class excludes are whole ones.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

from whamm_cm.dataclass import dataclass

#: States and kinds of bytes of a table, repetitions of a part, and groups in groups, at most.
MOST_STATES, MOST_KINDS, MOST_TIMES, MOST_DEEP = 1000, 127, 100, 100
#: States that end it: nothing can match any more, and everything does.
DEAD, SURE = 0, 1
_START, _END = 256, 257  # what stands for the ends of a string
_SETS = {"d": "0123456789", "s": " \t\n\r\v\f",
         "w": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"}  # fmt: skip
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "v": "\v", "f": "\f", "0": "\0"}
_TAIL = frozenset(range(0x80, 0xC0))
#: First bytes of characters that are longer, and how many follow.
_LEADS = ((range(0xC2, 0xE0), 1), (range(0xE0, 0xF0), 2), (range(0xF0, 0xF5), 3))

Bytes: TypeAlias = frozenset[int]


class BadPattern(ValueError):
    """What is wrong with a pattern, and at which of its characters."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


@dataclass(frozen=True, slots=True)
class Table:
    """``kinds``: of each byte; ``next`` by state and kind; ``final``: whether a string may end in
    a state.  The text is what ``agent/strings.h`` reads: all numbers below 128, larger ones in
    two."""

    kinds: tuple[int, ...]
    next: tuple[tuple[int, ...], ...]
    final: tuple[bool, ...]
    start: int

    @property
    def text(self) -> str:
        count = max(self.kinds) + 1
        numbers = [count, *_two(len(self.next)), *_two(self.start), *self.kinds]
        numbers += map(int, self.final)
        for row in self.next:
            for state in row:
                numbers += _two(state)
        return "".join(map(chr, numbers))

    def matches(self, text: str) -> bool:
        state = self.start
        for byte in text.encode("utf-8", "surrogatepass"):
            state = self.next[state][self.kinds[byte]]
        return self.final[state]


def _two(number: int) -> tuple[int, int]:
    return number & 127, number >> 7


class _Parser:
    """Makes an automaton of a pattern: ``steps`` lead from a state by a byte (or the end of a
    string), ``free`` by nothing."""

    def __init__(self, pattern: str) -> None:
        self.pattern, self.at, self.deep = pattern, 0, 0
        self.steps: list[list[tuple[Bytes, int]]] = []
        self.free: list[list[int]] = []

    def state(self) -> int:
        self.steps.append([])
        self.free.append([])
        if len(self.steps) > 50 * MOST_STATES:
            raise BadPattern("this is too much for one pattern", self.at)
        return len(self.steps) - 1

    def whole(self) -> tuple[int, int]:
        first = self.state()
        last = self.choice(first)
        if self.at < len(self.pattern):
            raise BadPattern('there is a ")" too many', self.at)
        return first, last

    def peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def choice(self, first: int) -> int:
        last = self.state()
        while True:
            self.free[self.row(first)].append(last)
            if self.peek() != "|":
                return last
            self.at += 1

    def row(self, first: int) -> int:
        start = self.state()
        self.free[first].append(start)
        while self.peek() not in ("", "|", ")"):
            start = self.repeated(start)
        return start

    def repeated(self, first: int) -> int:
        """A part with how often it comes."""
        begin = self.at
        last = self.part(first)
        end = self.at
        times = self.times()
        if times is None:
            return last
        least, most = times
        self.steps[first], self.free[first] = [], []  # it was only read so far
        after, out = self.at, self.state()
        here = first
        for number in range(max(least, most or 1)):
            if number >= least:
                self.free[here].append(out)
            self.at, before = begin, here
            here = self.part(here)
            if most is None and number + 1 >= max(least, 1):
                self.free[here].append(before)
            assert self.at == end
        self.free[here].append(out)
        self.at = after
        return out

    def times(self) -> tuple[int, int | None] | None:
        found = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(self.peek())
        if found is not None:
            self.at += 1
        elif self.peek() == "{":
            at, end = self.at, self.pattern.find("}", self.at)
            low, comma, high = self.pattern[at + 1 : end].partition(",")
            if end < 0 or not low.isdecimal() or not (high.isdecimal() or not high):
                raise BadPattern("how often is written {2}, {2,} or {2,5}", at)
            least, most = int(low), int(high) if high else None if comma else int(low)
            if max(least, most or 0) > MOST_TIMES or (most is not None and most < least):
                raise BadPattern(f"a part comes 0 to {MOST_TIMES} times", at)
            self.at, found = end + 1, (least, most)
        if found is not None and self.peek() in ("*", "+", "?", "{"):
            raise BadPattern("this says twice how often", self.at)
        return found

    def part(self, first: int) -> int:
        char, at = self.peek(), self.at
        self.at += 1
        if char == "(":
            if self.pattern.startswith("?:", self.at):
                self.at += 2
            self.deep += 1
            if self.deep > MOST_DEEP:
                raise BadPattern(f"groups are nested more than {MOST_DEEP} deep", at)
            inner = self.state()
            self.free[first].append(inner)
            last = self.choice(inner)
            self.deep -= 1
            if self.peek() != ")":
                raise BadPattern('this "(" is not closed', at)
            self.at += 1
            return last
        if char in ("*", "+", "?", "{"):
            raise BadPattern("there is nothing that this could repeat", at)
        if char in ("^", "$"):
            return self.step(first, frozenset((_START if char == "^" else _END,)))
        if char == ".":
            return self.character(first, frozenset(), True)
        if char == "[":
            return self.character(first, *self.bracket(at))
        if char == "\\":
            return self.character(first, *self.escape())
        last = first
        for byte in char.encode("utf-8", "surrogatepass"):
            last = self.step(last, frozenset((byte,)))
        return last

    def step(self, first: int, allowed: Bytes) -> int:
        last = self.state()
        self.steps[first].append((allowed, last))
        return last

    def character(self, first: int, some: Bytes, others: bool) -> int:
        """One of these of ASCII or, with ``others``, any character but them."""
        last = self.state()
        self.steps[first].append((frozenset(range(128)) - some if others else some, last))
        if others:
            for leads, count in _LEADS:
                here = self.step(first, frozenset(leads))
                for _ in range(count - 1):
                    here = self.step(here, _TAIL)
                self.steps[here].append((_TAIL, last))
        return last

    def escape(self) -> tuple[Bytes, bool]:
        char = self.peek()
        self.at += 1
        if char.lower() in _SETS:
            return frozenset(map(ord, _SETS[char.lower()])), char.isupper()
        if char in _CONTROLS:
            return frozenset((ord(_CONTROLS[char]),)), False
        if not char or char.isalnum() or ord(char) > 127:
            raise BadPattern(f'"\\{char}" means nothing', self.at - 2)
        return frozenset((ord(char),)), False

    def bracket(self, at: int) -> tuple[Bytes, bool]:
        others = self.peek() == "^"
        self.at += others
        found: set[int] = set()
        start = self.at
        while self.peek() != "]" or self.at == start:
            low = self.member(at)
            if self.peek() == "-" and self.pattern[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                high = self.member(at)
                if len(low) != 1 or len(high) != 1 or min(low) > min(high):
                    raise BadPattern("this is no range", self.at - 1)
                found |= set(range(min(low), min(high) + 1))
            else:
                found |= low
        self.at += 1
        return frozenset(found), others

    def member(self, at: int) -> Bytes:
        char = self.peek()
        if not char:
            raise BadPattern('this "[" is not closed', at)
        self.at += 1
        if char == "\\":
            some, others = self.escape()
            return frozenset(range(128)) - some if others else some
        if ord(char) > 127:
            raise BadPattern("between brackets there is only ASCII; write (é|ü)", self.at - 1)
        return frozenset((ord(char),))


class _Tables:
    """The subset construction."""

    def __init__(self, made: _Parser, first: int, last: int) -> None:
        self.made, self.first, self.last = made, first, last

    def closed(self, states: set[int], by: tuple[int, ...] = ()) -> frozenset[int]:
        """With what is reached by nothing, or by an end of the string."""
        found, stack = set(states), list(states)
        while stack:
            state = stack.pop()
            ways = [*self.made.free[state]]
            ways += [to for allowed, to in self.made.steps[state] if not allowed.isdisjoint(by)]
            stack += [to for to in ways if to not in found]
            found.update(ways)
        return frozenset(found)

    def table(self) -> Table:
        kinds, samples = self._kinds()
        alone = self.made.state()  # told apart: where it ends, too, the string is empty
        begin = self.closed({self.first, alone}, (_START,))
        again = self.closed({self.first})
        numbers: dict[frozenset[int], int] = {}
        rows: dict[int, tuple[int, ...]] = {}
        dead, sure = (DEAD,) * len(samples), (SURE,) * len(samples)
        final = {DEAD: False, SURE: True}
        todo: list[frozenset[int]] = []

        def number(states: frozenset[int]) -> int:
            if self.last in states:
                return SURE
            if not states:
                return DEAD
            if states not in numbers:
                if len(numbers) >= MOST_STATES:
                    raise BadPattern(f"this takes more than {MOST_STATES} states", 0)
                numbers[states] = len(numbers) + 2
                todo.append(states)
            return numbers[states]

        start = number(begin)
        while todo:
            states = todo.pop()
            ends = (_START, _END) if alone in states else (_END,)
            final[numbers[states]] = self.last in self.closed(set(states), ends)
            row = []
            for byte in samples:
                after = {to for state in states for allowed, to in self.made.steps[state]
                         if byte in allowed}  # fmt: skip
                row.append(number(self.closed(after) | again))
            rows[numbers[states]] = tuple(row)
        if start == SURE or not numbers:
            return Table(kinds, (dead, sure), (False, True), start)
        order = range(2, len(numbers) + 2)
        return Table(kinds, (dead, sure, *(rows[n] for n in order)),
                     (False, True, *(final[n] for n in order)), start)  # fmt: skip

    def _kinds(self) -> tuple[tuple[int, ...], list[int]]:
        """Bytes that no step tells apart are of one kind; one byte of each."""
        sets = {allowed for steps in self.made.steps for allowed, _ in steps}
        known: dict[tuple[bool, ...], int] = {}
        ordered = list(sets)
        kinds, samples = [], []
        for byte in range(256):
            key = tuple(byte in allowed for allowed in ordered)
            if key not in known:
                known[key] = len(known)
                samples.append(byte)
            kinds.append(known[key])
        if len(known) > MOST_KINDS:
            raise BadPattern(f"this tells more than {MOST_KINDS} kinds of bytes apart", 0)
        return tuple(kinds), samples


@lru_cache(maxsize=256)
def table_of(pattern: str) -> Table:
    """Raises BadPattern."""
    parser = _Parser(pattern)
    return _Tables(parser, *parser.whole()).table()

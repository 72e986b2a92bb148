"""Case-sensitive globs, and the one matcher of all patterns here.

``*`` ``?`` ``[a-z]`` ``[!a-z]`` ``{a,b}`` and ``|``; ``*`` crosses every character, ``/`` and
``:`` too: ``wasi:*`` is everything of namespace wasi.  Paths have globs of their own
(:func:`compile_path`).

A glob becomes positions (Glushkov) whose sets are bits of a number.  A text is read once, from left
to right, whatever the glob: time is linear in the text, and sets that were seen are remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from typing import TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.wit.semver import PatternError

#: Nesting of ``{…}``: more is a mistake.
MAX_BRACES = 16

#: Longest glob accepted.
MAX_LENGTH = 4096

#: Sets of positions that are remembered; then the memory is begun anew.
_MAX_KNOWN = 2000

_Test = Callable[[str], bool]

#: An automaton, state → character → state, from state ``start``; and the states that end a text.
Language: TypeAlias = tuple[Mapping[str, Mapping[str, str]], frozenset[str]]


class _State(dict[str, "_State"]):
    """What a glob expects: by character, what it expects then.  Filled as texts need it."""

    __slots__ = ("accepts", "glob", "offered")

    def __init__(self, glob: Glob, offered: int, accepts: bool) -> None:
        super().__init__()
        self.glob, self.offered, self.accepts = glob, offered, accepts

    def __missing__(self, ch: str) -> _State:
        glob = self.glob
        taken = self.offered & glob.taking(ch)
        found = glob.state(glob.after(taken), bool(taken & glob.last))
        if len(self) < _MAX_KNOWN:
            self[ch] = found
        return found


@dataclass(slots=True, eq=False)
class Glob:
    """``follow``: by position, the positions that may come next; ``first`` and ``last`` those that
    begin and end a text; ``empty``: whether the empty text fits.  ``places``: where in what was
    written each position stands.  ``head``: how all that fits begins."""

    text: str
    first: int
    last: int
    empty: bool
    follow: list[int]
    literals: dict[str, int]
    tests: list[tuple[int, _Test]]
    places: list[int]
    head: str
    _states: dict[tuple[int, bool], _State] = field(default_factory=dict)
    _start: _State | None = None

    def fullmatch(self, text: str) -> bool:
        """Whether all of ``text`` fits."""
        if not text.startswith(self.head):
            return False
        state = self.begin()
        for ch in text:
            state = state[ch]
        return state.accepts

    def _begin(self) -> _State:
        self._start = self.state(self.first, self.empty)
        return self._start

    def state(self, offered: int, accepts: bool) -> _State:
        found = self._states.get((offered, accepts))
        if found is None:
            if len(self._states) >= _MAX_KNOWN:
                self._states.clear()
                self._start = None
            found = self._states[offered, accepts] = _State(self, offered, accepts)
        return found

    def taking(self, ch: str) -> int:
        """The positions that take ``ch``."""
        found = self.literals.get(ch, 0)
        for mask, test in self.tests:
            if test(ch):
                found |= mask
        return found

    def after(self, taken: int) -> int:
        """What may follow the positions ``taken``."""
        found = 0
        for one in _bits(taken):
            found |= self.follow[one]
        return found

    def dead(self, *languages: Language) -> int | None:
        """The first place that no fitting text of the languages goes through; None if there is
        none, -1 if no text of theirs fits at all."""
        useful, empty = 0, False
        for shapes, finals in languages:
            useful |= self._useful(shapes, finals)
            empty = empty or (self.empty and "start" in finals)
        if not useful:
            return None if empty else -1
        dead = [place for one, place in enumerate(self.places) if not useful >> one & 1]
        return min(dead, default=None)

    def within(self, other: Glob, alphabet: Iterable[str]) -> bool:
        """Whether all that fits, of texts of ``alphabet``, fits ``other``, too.  False where that
        takes too long to find out."""
        pairs = _pairs(self, other, alphabet)
        return pairs is not None and all(b.accepts or not a.accepts for a, b in pairs)

    def meets(self, other: Glob, alphabet: Iterable[str]) -> bool:
        """Whether a text of ``alphabet`` fits both.  True where that takes too long to find out."""
        pairs = _pairs(self, other, alphabet)
        return pairs is None or any(a.accepts and b.accepts for a, b in pairs)

    def begin(self) -> _State:
        return self._start or self._begin()

    def _useful(self, shapes: Mapping[str, Mapping[str, str]], finals: frozenset[str]) -> int:
        """The positions that take part in a fitting text of a language."""
        rows = {state: self._edges(row) for state, row in shapes.items()}
        pending = [("start", self.first)]
        entered: dict[str, int] = {}  # state → positions that may be next there
        used: dict[tuple[str, str], int] = {}  # state, next state → positions taken between them
        while pending:
            state, offered = pending.pop()
            fresh = offered & ~entered.get(state, 0)
            if not fresh:
                continue
            entered[state] = entered.get(state, 0) | fresh
            for target, step in rows.get(state, ()):
                taken = fresh & step
                if taken:
                    used[state, target] = used.get((state, target), 0) | taken
                    pending.append((target, self.after(taken)))
        return self._ending(finals, used)

    def _edges(self, row: Mapping[str, str]) -> list[tuple[str, int]]:
        """Next states, with the positions that take a character that leads there."""
        found: dict[str, int] = {}
        for ch, target in row.items():
            found[target] = found.get(target, 0) | self.taking(ch)
        return list(found.items())

    def _ending(self, finals: frozenset[str], used: dict[tuple[str, str], int]) -> int:
        """Of what was reached: whatever also leads to an end."""
        back = [0] * len(self.follow)
        for position, following in enumerate(self.follow):
            for one in _bits(following):
                back[one] |= 1 << position
        into: dict[str, list[str]] = {}
        for state, target in used:
            into.setdefault(target, []).append(state)
        alive: dict[str, int] = {}  # state → positions that, taken into it, lead to an end
        pending = [(state, self.last) for state in finals]
        useful = 0
        while pending:
            state, wanted = pending.pop()
            fresh = wanted & ~alive.get(state, 0)
            if not fresh:
                continue
            alive[state] = alive.get(state, 0) | fresh
            for origin in into.get(state, ()):
                taken = fresh & used[origin, state]
                useful |= taken
                before = 0
                for one in _bits(taken):
                    before |= back[one]
                if before:
                    pending.append((origin, before))
        return useful


def _pairs(a: Glob, b: Glob, alphabet: Iterable[str]) -> list[tuple[_State, _State]] | None:
    """What both expect after the same text, over all texts; None above :data:`_MAX_KNOWN`."""
    letters = tuple(alphabet)
    start = a.begin(), b.begin()
    found = {_key(*start): start}
    pending = [start]
    while pending:
        one, other = pending.pop()
        for ch in letters:
            pair = one[ch], other[ch]
            if _key(*pair) not in found:
                if len(found) >= _MAX_KNOWN:
                    return None
                found[_key(*pair)] = pair
                pending.append(pair)
    return list(found.values())


def _key(a: _State, b: _State) -> tuple[int, bool, int, bool]:
    return a.offered, a.accepts, b.offered, b.accepts


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def compile_glob(text: str, whole: str | None = None, position: int = 0) -> Glob:
    """A matcher for ``fullmatch``; empty ``text`` matches only the empty string.

    ``whole`` and ``position`` say where ``text`` stands in what the user wrote, for the
    PatternError raised when brackets or braces are wrong.
    """
    return _Builder(text, text if whole is None else whole, position).run()


def compile_path(text: str) -> Glob:
    """Globs over absolute paths: ``*`` and ``?`` stay within a part, ``**`` is any number of parts,
    ``/d/**`` has ``/d``, and behind a backslash ``*``, ``?`` and it itself are as they are.

    Raises PatternError for what is too long.
    """
    return _PathBuilder(text, text, 0).run()


def escape_path(text: str) -> str:
    """The glob of :func:`compile_path` that matches ``text`` alone."""
    return "".join(f"\\{ch}" if ch in _PATH_SPECIAL else ch for ch in text)


_PATH_SPECIAL = "*?\\"


def split_top(text: str, separator: str) -> list[tuple[int, str]]:
    """``text`` cut at each ``separator`` outside braces and classes, with the parts' positions."""
    parts: list[tuple[int, str]] = []
    depth = start = at = 0
    while at < len(text):
        ch = text[at]
        if ch == "[":
            at = max(at, class_end(text, at))
        elif ch == "{":
            depth += 1
        elif ch == "}":
            depth = max(0, depth - 1)
        elif ch == separator and depth == 0:
            parts.append((start, text[start:at]))
            start = at + 1
        at += 1
    parts.append((start, text[start:]))
    return parts


def class_end(text: str, start: int) -> int:
    """Index of the ``]`` that closes the ``[`` at ``start``, -1 if none does."""
    at = start + 1
    if text[at : at + 1] == "!":
        at += 1
    return text.find("]", at + 1)


@dataclass(slots=True)
class _Part:
    """What was read of a sequence, or of all alternatives of a brace."""

    first: int = 0
    last: int = 0
    empty: bool = True


@dataclass(slots=True)
class _Open:
    """A brace that is not closed yet: what stood before it, and its alternatives so far."""

    at: int
    before: _Part
    found: _Part = field(default_factory=lambda: _Part(empty=False))


class _Builder:
    def __init__(self, text: str, whole: str, position: int) -> None:
        self.text, self.whole, self.position = text, whole, position
        self.at = 0
        self.follow: list[int] = []
        self.literals: dict[str, int] = {}
        self.tests: list[tuple[int, _Test]] = []
        self.places: list[int] = []
        self.open: list[_Open] = []
        self.part = _Part()
        self.all = _Part(empty=False)

    def fail(self, message: str, at: int) -> PatternError:
        return PatternError(message, self.whole, self.position + at)

    def run(self) -> Glob:
        if len(self.text) > MAX_LENGTH:
            raise self.fail(f"longer than {MAX_LENGTH} characters", MAX_LENGTH)
        while self.at < len(self.text):
            self.step(self.text[self.at])
            self.at += 1
        if self.open:
            raise self.fail('"{" is never closed', self.open[-1].at)
        _either(self.all, self.part)
        found = self.all
        return Glob(
            self.text, found.first, found.last, found.empty, self.follow, self.literals,
            self.tests, self.places, self.head(),
        )  # fmt: skip

    def head(self) -> str:
        """What all that fits begins with, as far as that is plain to see."""
        ends = (at for at, ch in enumerate(self.text) if ch in "*?[{")
        return "" if "|" in self.text else self.text[: min(ends, default=len(self.text))]

    def step(self, ch: str) -> None:
        if ch == "*":
            if self.text[self.at - 1 : self.at] != "*":  # a run of stars is one star
                self.many(lambda _: True)
        elif ch == "?":
            self.one(test=lambda _: True)
        elif ch == "[":
            self.char_class()
        elif ch == "{":
            if len(self.open) == MAX_BRACES:
                raise self.fail(f'"{{" nested more than {MAX_BRACES} deep', self.at)
            self.open.append(_Open(self.at, self.part))
            self.part = _Part()
        elif ch == "}":
            self.close()
        elif ch == "|" or (ch == "," and self.open):
            _either(self.open[-1].found if self.open else self.all, self.part)
            self.part = _Part()
        else:
            self.one(literal=ch)

    def one(self, literal: str = "", test: _Test | None = None) -> int:
        """A position that takes one character."""
        bit = 1 << len(self.follow)
        self.follow.append(0)
        self.places.append(self.position + self.at)
        if test is None:
            self.literals[literal] = self.literals.get(literal, 0) | bit
        else:
            self.tests.append((bit, test))
        self.then(_Part(bit, bit, False))
        return bit

    def many(self, test: _Test) -> None:
        """A position that takes any number of characters."""
        bit = 1 << len(self.follow)
        self.follow.append(bit)
        self.places.append(self.position + self.at)
        self.tests.append((bit, test))
        self.then(_Part(bit, bit, True))

    def then(self, more: _Part) -> None:
        part = self.part
        for one in _bits(part.last):
            self.follow[one] |= more.first
        if part.empty:
            part.first |= more.first
        part.last = more.last | (part.last if more.empty else 0)
        part.empty = part.empty and more.empty

    def close(self) -> None:
        if not self.open:
            raise self.fail('"}" without "{"', self.at)
        group = self.open.pop()
        _either(group.found, self.part)
        if not group.found.first:
            raise self.fail('there is nothing between "{" and "}"', group.at)
        self.part = group.before
        self.then(group.found)

    def char_class(self) -> None:
        end = class_end(self.text, self.at)
        if end < 0:
            raise self.fail('"[" is never closed', self.at)
        negated = self.text[self.at + 1] == "!"
        singles, ranges = self.ranges(self.text[self.at + 1 + negated : end])

        def test(ch: str) -> bool:
            inside = ch in singles or any(low <= ch <= high for low, high in ranges)
            return inside != negated

        self.one(test=test)
        self.at = end

    def ranges(self, body: str) -> tuple[frozenset[str], tuple[tuple[str, str], ...]]:
        singles: list[str] = []
        ranges: list[tuple[str, str]] = []
        at = 0
        while at < len(body):
            if body[at + 1 : at + 2] == "-" and at + 2 < len(body):
                low, high = body[at], body[at + 2]
                if low > high:
                    raise self.fail(f'"{low}-{high}" is an empty range', self.at)
                ranges.append((low, high))
                at += 3
            else:
                singles.append(body[at])
                at += 1
        return frozenset(singles), tuple(ranges)


class _PathBuilder(_Builder):
    def head(self) -> str:
        """Nothing: ``/d/**`` has ``/d``."""
        return ""

    def step(self, ch: str) -> None:
        text, at = self.text, self.at
        if text.startswith("/**", at) and text[at + 3 : at + 4] in ("", "/"):
            self.below()
            self.at += 2
        elif text.startswith("**", at):
            self.many(lambda _: True)
            self.at += 1
        elif ch == "*":
            self.many(lambda one: one != "/")
        elif ch == "?":
            self.one(test=lambda one: one != "/")
        elif ch == "\\" and text[at + 1 : at + 2] in tuple(_PATH_SPECIAL):
            self.at += 1
            self.one(literal=text[self.at])
        else:
            self.one(literal=ch)

    def below(self) -> None:
        """``/**``: nothing, or a ``/`` and whatever follows."""
        before, self.part = self.part, _Part()
        self.one(literal="/")
        self.many(lambda _: True)
        inside, self.part = self.part, before
        self.then(_Part(inside.first, inside.last, True))


def _either(found: _Part, more: _Part) -> None:
    found.first |= more.first
    found.last |= more.last
    found.empty = found.empty or more.empty

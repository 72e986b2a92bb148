"""Places in the source that rules name, by files, lines and functions.

What there is of them is known of a component only, from its debug information: ``takes_…`` say
whether a file, line or function of it is meant.
"""

from __future__ import annotations

import re
from functools import lru_cache

from whamm_cm.dataclass import dataclass
from whamm_cm.lang.events import SCOPE, Event, Mode
from whamm_cm.lang.source import ScriptError, Source
from whamm_cm.wit.glob import Glob


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a rule; ``at`` and ``end`` are offsets into the script."""

    text: str
    glob: Glob
    at: int
    end: int

    def matches(self, name: str) -> bool:
        return self.glob.fullmatch(name.lower())


@dataclass(frozen=True, slots=True, eq=False)
class SourceRule:
    """``text``: what is behind the package, without the mode; ``lines``: first and last of each
    range; ``function``: None in rules on lines."""

    source: Source
    package: str
    text: str
    mode: str
    file: Part
    lines: tuple[tuple[int, int], ...] = ()
    lines_at: tuple[int, int] = (0, 0)
    function: Part | None = None

    @property
    def name(self) -> str:
        """As reports show it."""
        return f"wasm:{self.package}:{self.text}:{self.mode}"

    @property
    def event(self) -> Event:
        return Event(self.package, self.text, "", (Mode(self.mode, self.mode),), SCOPE, known=False)

    def takes_file(self, path: str) -> bool:
        """Whether the path is meant, whole or as the end of it behind a ``/``."""
        path = path.replace("\\", "/")
        ends = [0, *(at.end() for at in re.finditer("/", path))]
        return any(self.file.glob.fullmatch(path[at:]) for at in ends)

    def takes_line(self, line: int) -> bool:
        return any(first <= line <= last for first, last in self.lines)

    def takes_function(self, name: str) -> bool:
        """Whether a function of that demangled name is meant."""
        part = self.function
        return part is not None and any(map(part.glob.fullmatch, forms(name)))

    def error(self, part: Part, message: str, hint: str) -> ScriptError:
        return self.source.error(message, part.at, part.end, hint)


# --- names of functions --------------------------------------------------------------------------


@lru_cache(maxsize=1 << 14)
def forms(name: str) -> tuple[str, ...]:
    """What a function may be called: as it is, without its parameters and what is between
    ``<`` and ``>``, and the ends of each behind ``::`` or ``.``."""
    found = dict.fromkeys([name])
    plain = _without_parameters(name)
    for one in (name, plain, _without_generics(plain)):
        for at in _ends(one):
            if at < len(one):
                found[one[at:]] = None
    return tuple(found)


_NESTS = {"<": 1, "(": 1, "[": 1, "{": 1, ">": -1, ")": -1, "]": -1, "}": -1}


def _outside(name: str) -> list[bool]:
    """For each character whether it is outside of all brackets."""
    found, depth = [], 0
    for at, ch in enumerate(name):
        step = 0 if name[at - 1 : at + 1] == "->" else _NESTS.get(ch, 0)
        depth = max(0, depth + min(step, 0))
        found.append(depth == 0)
        depth += max(step, 0)
    return found


def _without_parameters(name: str) -> str:
    outside = _outside(name)
    for at, ch in enumerate(name):
        before = name[:at]
        if ch == "(" and outside[at] and before and not before.endswith(("::", "operator", " ")):
            return before
    return name


def _without_generics(name: str) -> str:
    outside, found, skipping = _outside(name), [], False
    for at, ch in enumerate(name):
        if ch == "<" and outside[at] and at and not name[:at].endswith("operator"):
            skipping = True
        if not skipping:
            found.append(ch)
        elif ch == ">" and outside[at]:
            skipping = False
    return "".join(found).replace("::::", "::").removesuffix("::")


def _ends(name: str) -> list[int]:
    """Where its parts begin: behind ``::``, ``.`` and blanks that are in no brackets."""
    outside, found = _outside(name), [0]
    for at in range(1, len(name)):
        if not outside[at - 1]:
            continue
        if name[at - 1] in ". " or (name[at - 1] == ":" and name[at - 2 : at] == "::"):
            found.append(at)
    return found

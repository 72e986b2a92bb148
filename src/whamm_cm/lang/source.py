"""Script texts and the error that points into them."""

from __future__ import annotations

from collections.abc import Iterable

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import UsageError, nearest

#: Longest source line shown under a message.
_SHOWN = 160
#: Mistakes that are told at once.
MOST = 20


@dataclass(frozen=True, slots=True)
class Source:
    """One script: ``number`` in order of loading, ``name`` as messages call it."""

    number: int
    name: str
    text: str

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column, both from 1, of a character offset."""
        start = self.text.rfind("\n", 0, offset) + 1
        return self.text.count("\n", 0, offset) + 1, offset - start + 1

    def line_at(self, offset: int) -> str:
        start = self.text.rfind("\n", 0, offset) + 1
        end = self.text.find("\n", offset)
        return self.text[start : len(self.text) if end < 0 else end].rstrip("\r")

    def error(
        self, message: str, start: int, end: int | None = None, hint: str = ""
    ) -> ScriptError:
        """``message``: one clause about ``text[start:end]``; ``hint``: what to write instead."""
        return ScriptError(self, message, start, start + 1 if end is None else end, hint)


class ScriptError(UsageError):
    """A script is wrong: where, what, and what to do about it.

    ``line`` and ``column`` count from 1; ``message`` and ``hint`` are the halves of the sentence.
    ``others``: what else is wrong, in order of place (:func:`together`).  ``about``: the name that
    is not known, if that is what is wrong.  ``untyped``: the operand whose type nothing says, if
    that is it.
    """

    about = untyped = ""

    def __init__(self, source: Source, message: str, start: int, end: int, hint: str = "") -> None:
        start = min(start, len(source.text))
        self.source, self.message, self.hint = source, message, hint
        self.start, self.end = start, end
        self.line, self.column = source.place(start)
        self.others: tuple[ScriptError, ...] = ()
        said = f"{message}; {hint}" if hint else message
        self.said = f"{source.name}:{self.line}:{self.column}: {said}\n{self._excerpt()}"
        super().__init__(self.said)

    @property
    def each(self) -> tuple[ScriptError, ...]:
        """Itself and the others."""
        return (self, *self.others)

    def _excerpt(self) -> str:
        line, first = self.source.line_at(self.start), self.column - 1
        cut = max(0, min(first - _SHOWN // 2, len(line) - _SHOWN))
        line = line[cut : cut + _SHOWN]
        length = max(1, min(self.end - self.start, len(line) - first + cut))
        pad = "".join("\t" if ch == "\t" else " " for ch in line[: first - cut])
        number = str(self.line)
        return f"  {number} | {line}\n  {' ' * len(number)} | {pad}{'^' * length}"


@dataclass(frozen=True, slots=True)
class WrittenRule:
    """A rule as it stands in a script.  ``place``: ``S.mm:3:1``; ``optional``: it may match
    nothing."""

    text: str
    place: str
    source: Source
    optional: bool = False


def together(errors: Iterable[ScriptError]) -> ScriptError:
    """Mistakes as one error that tells the first :data:`MOST` of them: in order of place, and of
    each place what was found first."""
    found: dict[tuple[int, int], ScriptError] = {}
    for error in errors:
        for one in error.each:
            found.setdefault((one.source.number, one.start), one)
    first, *others = (found[place] for place in sorted(found))
    for one in others:
        one.others, one.args = (), (one.said,)
    told = [one.said for one in (first, *others[: MOST - 1])]
    if len(others) >= MOST:
        told.append(f"and {len(others) + 1 - MOST} more")
    first.others, first.args = tuple(others), ("\n".join(told),)
    return first


def suggest(name: str, known: Iterable[str]) -> str:
    """``did you mean "count"?`` or an empty string."""
    close = nearest(name, known)
    return f'did you mean "{close}"?' if close else ""


def listed(names: Iterable[str], limit: int = 12) -> str:
    """``a, b or c``; at most ``limit`` names."""
    shown = list(names)
    if len(shown) > limit:
        shown = [*shown[:limit], f"{len(shown) - limit} more"]
    return " or ".join(filter(None, (", ".join(shown[:-1]), shown[-1]))) if shown else "none"

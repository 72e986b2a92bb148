"""Globs over paths as regular expressions of the script language, for guards.

Names are absolute, without empty parts, ``.`` and ``..``; the root is ``/``.  What allows is exact.
What denies fits whatever the gate takes for the same name in any case and form of letters, and
where letters beyond ASCII are concerned, more: there any of them stands for any other.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Literal, TypeAlias

from whamm_cm.errors import UsageError
from whamm_cm.gate.permissions import StorageLine, folded
from whamm_cm.lang.regex import BadPattern, table_of

#: What of a tree a test is about: names that fit, those that have something that fits below them,
#: those below which everything fits.
Reach: TypeAlias = Literal["at", "below", "whole"]

_ANY = "[^\0-\x7f]"  # a character beyond ASCII
_PART, _REST = "[^/]*", "(/.*)?"
#: Bytes of a table that several lines share; a line that needs more has one for itself.
_MOST_TABLE = 24_000


#: Characters that fold to nothing but ASCII, and are too rare to be followed up: ligatures, the
#: long s, the Kelvin sign, two that are other characters.
RARE = "\u017f\u037e\u1fef\u212a\ufb00\ufb01\ufb02\ufb03\ufb04\ufb05\ufb06"
_SHARP = "\xdf\u1e9e"


def patterns(lines: Iterable[StorageLine], reach: Reach, deny: bool) -> list[str]:
    """Patterns of which one matches where ``reach`` holds for one of ``lines``.

    Raises UsageError for a line that needs more states than a pattern has.
    """
    parts = []
    for line in lines:
        text = folded(line.text) if deny else line.text
        part = _reaches(text, reach, deny)
        if part is not None:
            parts.append((line, part))
    return list(_joined(parts))


def _joined(parts: Sequence[tuple[StorageLine, str]]) -> Iterator[str]:
    """As few patterns as there can be without one that is large."""
    whole = f"^({'|'.join(dict.fromkeys(_ended(part) for _, part in parts))})" if parts else ""
    try:
        size = len(table_of(whole).text) if whole else 0
    except BadPattern as error:
        if len(parts) == 1:
            line = parts[0][0]
            raise UsageError(
                f"{line.location}: fs://{line.text} is too much for enforce: {error}"
            ) from None
        size = _MOST_TABLE + 1
    if size > _MOST_TABLE and len(parts) > 1:
        yield from _joined(parts[: len(parts) // 2])
        yield from _joined(parts[len(parts) // 2 :])
    elif whole:
        yield whole


def _ended(part: str) -> str:
    """To its end, but where anything may follow: there it is over at once."""
    if part.endswith(_REST):
        return f"{part.removesuffix(_REST)}(/|$)"
    return part.removesuffix(".*") if part.endswith(".*") else f"{part}$"


def _reaches(text: str, reach: Reach, deny: bool) -> str | None:
    if reach == "at":
        return _whole(text, deny)
    if reach == "whole":
        return _whole(text, deny) if _ends_open(text) else None
    return f"(/|{_above(_split(text), deny)})"


def _ends_open(text: str) -> bool:
    """Whether what fits has all that is below it."""
    stars = len(text) - len(text.rstrip("*"))
    slashes = len(text[: len(text) - stars]) - len(text[: len(text) - stars].rstrip("\\"))
    return stars - slashes % 2 >= 2


def _above(parts: Sequence[str], deny: bool) -> str:
    """Names above which fits ``/`` and ``parts``: all they can be is nothing, or as long as it is
    not the last part, that and what is above the rest."""
    if not parts:
        return ""
    first, rest = parts[0], parts[1:]
    if first == "**":
        return _REST
    stars = _find_stars(first)
    if stars >= 0:
        return f"(/{_whole(first[:stars], deny)}.*)?"
    return f"(/{_whole(first, deny)}{_above(rest, deny)})?" if rest else ""


def _find_stars(text: str) -> int:
    at = 0
    while at < len(text):
        if text.startswith("**", at):
            return at
        at += 2 if _is_escape(text, at) else 1
    return -1


def _split(text: str) -> list[str]:
    return [part for part in text.split("/") if part]


def _is_escape(text: str, at: int) -> bool:
    return text[at] == "\\" and text[at + 1 : at + 2] in ("*", "?", "\\")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """What a glob is made of: ``/**`` as ``below``, ``**`` as ``all``, ``*`` as ``part``, ``?`` as
    ``one``, and what stands for itself as ``is``."""
    at = 0
    while at < len(text):
        if text.startswith("/**", at) and text[at + 3 : at + 4] in ("", "/"):
            yield "below", ""
            at += 3
        elif text.startswith("**", at):
            yield "all", ""
            at += 2
        elif text[at] in "*?":
            yield ("part" if text[at] == "*" else "one"), ""
            at += 1
        else:
            at += _is_escape(text, at)
            yield "is", text[at]
            at += 1


def _whole(text: str, deny: bool) -> str:
    """A pattern for what fits a glob."""
    found = []
    for kind, group in groupby(_tokens(text), key=lambda token: token[0]):
        run = [ch for _, ch in group]
        if kind == "is":
            word = "".join(run)
            found.append(_loose(word) if deny else "".join(map(_literal, word)))
        elif kind == "one":
            found.append(_loose_ones(len(run)) if deny else "[^/]" * len(run))
        else:
            found += [{"below": _REST, "all": ".*", "part": _PART}[kind]] * len(run)
    return "".join(found)


def _literal(ch: str) -> str:
    return ch if ch.isalnum() or ord(ch) > 127 or ch in "/_ -" else f"\\{ch}"


def _loose_ones(count: int) -> str:
    """That many characters, of which those beyond ASCII may have become several, or fewer."""
    return f"({'[^/]' * count}|{_PART}{_ANY}{_PART})"


def _loose(word: str) -> str:
    """What may be folded to ``word``."""
    found: list[str] = []
    at = 0
    while at < len(word):
        end = at + 1
        if not word[at].isascii():
            while end < len(word) and not word[end].isascii():
                end += 1
            found.append(_beyond(word, at, end))
        elif word[at : at + 2] == "ss":
            while word[end : end + 1] == "s":
                end += 1
            count = end - at
            found.append(f"([sS]|{'|'.join(_SHARP)}){{{(count + 1) // 2},{count}}}")
        else:
            found.append(_either_case(word[at]))
        if at and not word[at - 1].isascii() and word[at].isascii():
            found[-1] = f"({found[-1]})?"
        at = end
    for place, part in enumerate(found[:-1]):
        if _ANY in found[place + 1] and _ANY not in part:
            found[place] = f"({part})?"
    return "".join(found)


def _beyond(word: str, at: int, end: int) -> str:
    """Letters beyond ASCII: any of them, with the letters of ASCII that they can be made of."""
    bases = {ch for ch in unicodedata.normalize("NFD", word[at:end]) if ch.isascii()}
    base = "".join(sorted({case for ch in bases for case in (ch.lower(), ch.upper())}))
    return f"([{base}]?{_ANY})+" if base.isalpha() else f"({_ANY})+"


def _either_case(ch: str) -> str:
    return f"[{ch.upper()}{ch}]" if ch.isalpha() else _literal(ch)

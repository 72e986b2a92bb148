"""Rules on places in the source: ``wasm:line:main.c:42`` and ``wasm:source:*.rs:fn parse*:entry``.

Case matters, unlike in other rules.
"""

from __future__ import annotations

import re

from whamm_cm.lang import syntax as s
from whamm_cm.lang.places import Part, SourceRule
from whamm_cm.lang.source import Source, suggest
from whamm_cm.wit.glob import compile_glob, split_top
from whamm_cm.wit.semver import PatternError

#: Larger than any line.
_MOST = 1 << 32
_START = re.compile(r"\s*wasm\s*:\s*(line|source)\s*(?::\s*|$)", re.I)
_LINES = re.compile(r"([0-9]+)(?:\s*-\s*([0-9]+))?|\*")
_MODES = {"line": ("before",), "source": ("entry", "exit")}
_FORMS = {
    "line": "write for instance wasm:line:src/main.c:42",
    "source": "write for instance wasm:source:*.rs:fn parse*:entry",
}
#: A word behind the last colon that could be meant as a mode.
_MODE = re.compile(r"(?<!:)\s*:\s*([A-Za-z_]\w*)\s*$")


def is_source_rule(text: str) -> bool:
    return _START.match(text) is not None


def parse_source_rule(source: Source, probe: s.ProbeSyntax) -> SourceRule:
    """Raises ScriptError at the part that is wrong."""
    start = _START.match(probe.rule)
    assert start is not None
    package, at = start[1].lower(), start.end()
    colon = probe.rule.find(":", at)
    if colon < 0:
        what = "line" if package == "line" else "function"
        raise source.error(f"this rule names no {what}", probe.at, probe.end, _FORMS[package])
    file = _part(source, probe.rule[at:colon], probe.at + at)
    rest, mode = _mode(source, probe, package, colon + 1)
    words = rest.strip()
    place = probe.at + colon + 1 + len(rest) - len(rest.lstrip())
    text = f"{file.text}:{words}"
    if package == "line":
        lines = _lines(source, words, place)
        return SourceRule(source, package, text, mode, file, lines, (place, place + len(words)))
    name = re.sub(r"^fn\s+", "", words)
    function = _part(source, name, place + len(words) - len(name))
    return SourceRule(source, package, text, mode, file, function=function)


def _part(source: Source, text: str, at: int) -> Part:
    at += len(text) - len(text.lstrip())
    text = text.strip()
    try:
        glob = compile_glob(text or "*")
    except PatternError as error:
        message = f"in this match rule {error.message}"
        raise source.error(message, at + error.position) from None
    return Part(text or "*", glob, at, at + max(1, len(text)))


def _mode(source: Source, probe: s.ProbeSyntax, package: str, at: int) -> tuple[str, str]:
    """What is behind a colon, without the mode, and the mode."""
    rest, known = probe.rule[at:], _MODES[package]
    found = _MODE.search(rest)
    if found is None:
        return rest, known[0]
    mode = found[1].lower()
    if mode not in known:
        place = probe.at + at + found.start(1)
        hint = suggest(mode, known) or f"there is {' and '.join(known)}"
        raise source.error(f'wasm:{package} has no mode "{found[1]}"', place,
                           place + len(found[1]), hint)  # fmt: skip
    return rest[: found.start()], mode


def _lines(source: Source, text: str, at: int) -> tuple[tuple[int, int], ...]:
    found = []
    for place, word in split_top(text, "|"):
        match = _LINES.fullmatch(word.strip())
        if match is None:
            raise source.error(f'"{word.strip()}" is no line', at + place,
                               at + place + max(1, len(word)),
                               "write a number, a range 10-20, alternatives with | or *"
                               )  # fmt: skip
        first = int(match[1] or 0)
        last = int(match[2] or match[1] or _MOST)
        if last < first:
            raise source.error(f"{word.strip()} is an empty range", at + place,
                               at + place + len(word))  # fmt: skip
        found.append((first, last))
    return tuple(found)

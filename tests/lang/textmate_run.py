"""TextMate grammars as editors run them, as far as ours goes: line by line, a stack of begun rules,
the earliest match wins, the end of what has begun before what stands in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

Rule = dict[str, Any]


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


class Tokenizer:
    def __init__(self, grammar: Rule) -> None:
        self.grammar = grammar
        self.flat: dict[int, list[Rule]] = {}

    def scopes(self, text: str) -> list[tuple[str, ...]]:
        """The scopes of each character, outermost first."""
        found: list[tuple[str, ...]] = []
        stack: list[tuple[Rule, tuple[str, ...]]] = [(self.grammar, ())]
        for line in text.splitlines(keepends=True):
            ended = line if line.endswith("\n") else line + "\n"
            found += self._line(ended, stack)[: len(line)]
        return found

    def _line(self, line: str, stack: list[tuple[Rule, tuple[str, ...]]]) -> list[tuple[str, ...]]:
        out: list[tuple[str, ...]] = [()] * len(line)
        at = 0
        begun: set[tuple[int, int, int]] = set()
        while at <= len(line):
            rule, scopes = stack[-1]
            match, chosen = self._next(rule, line, at)
            start = match.start() if match else len(line)
            self._fill(out, at, start, scopes)
            if match is None:
                return out
            at = match.end()
            if chosen is None:
                self._captured(out, match, scopes, rule.get("endCaptures", {}))
                stack.pop()
            elif "begin" in chosen:
                inner = (*scopes, chosen["name"]) if "name" in chosen else scopes
                self._captured(out, match, inner, chosen.get("beginCaptures", {}))
                state = (id(chosen), at, len(stack))
                assert state not in begun, f"{line!r} never ends"
                begun.add(state)
                stack.append((chosen, inner))
            else:
                named = (*scopes, chosen["name"]) if "name" in chosen else scopes
                self._captured(out, match, named, chosen.get("captures", {}))
                assert match.end() > match.start(), (line, chosen)
        return out

    def _next(self, rule: Rule, line: str, at: int) -> tuple[re.Match[str] | None, Rule | None]:
        best: re.Match[str] | None = None
        chosen: Rule | None = None
        if "end" in rule:
            best = _compiled(rule["end"]).search(line, at)
        for pattern in self._patterns(rule):
            match = _compiled(pattern.get("match") or pattern["begin"]).search(line, at)
            if match and (best is None or match.start() < best.start()):
                best, chosen = match, pattern
        return best, chosen

    def _patterns(self, rule: Rule) -> list[Rule]:
        if id(rule) not in self.flat:
            self.flat[id(rule)] = list(self._flattened(rule))
        return self.flat[id(rule)]

    def _flattened(self, rule: Rule) -> Iterator[Rule]:
        for pattern in rule.get("patterns", ()):
            named = pattern.get("include")
            if named is not None:
                pattern = self.grammar["repository"][named.removeprefix("#")]
            if "match" in pattern or "begin" in pattern:
                yield pattern
            else:
                yield from self._flattened(pattern)

    def _captured(self, out: list[tuple[str, ...]], match: re.Match[str], scopes: tuple[str, ...],
                  captures: dict[str, Rule]) -> None:  # fmt: skip
        self._fill(out, match.start(), match.end(), scopes)
        for number, capture in captures.items():
            start, end = match.span(int(number))
            inner = (*scopes, capture["name"]) if "name" in capture else scopes
            self._fill(out, start, end, inner)
            if "patterns" in capture:
                part = self._line(match[int(number)], [({"patterns": capture["patterns"]}, inner)])
                out[start:end] = part[: end - start]

    @staticmethod
    def _fill(out: list[tuple[str, ...]], start: int, end: int, scopes: tuple[str, ...]) -> None:
        out[start:end] = [scopes] * (end - start)

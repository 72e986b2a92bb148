"""Case-sensitive globs: ``*`` ``?`` ``[a-z]`` ``[!a-z]`` ``{a,b}`` and ``|``.

``*`` crosses every character, ``/`` and ``:`` too: ``wasi:*`` is everything of namespace wasi.
"""

from __future__ import annotations

import re

from whamm_cm.wit.semver import PatternError

#: Nesting of ``{…}``: more is a mistake, and regular expressions are compiled recursively.
MAX_BRACES = 16

#: Longest glob accepted.
MAX_LENGTH = 4096


def compile_glob(text: str, whole: str | None = None, position: int = 0) -> re.Pattern[str]:
    """A regular expression for ``fullmatch``; empty ``text`` matches only the empty string.

    ``whole`` and ``position`` say where ``text`` stands in what the user wrote, for the
    PatternError raised when brackets or braces are wrong.
    """
    return re.compile(_Translator(text, text if whole is None else whole, position).run(), re.S)


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


class _Translator:
    def __init__(self, text: str, whole: str, position: int) -> None:
        self.text, self.whole, self.position = text, whole, position
        self.at = 0
        self.out: list[str] = []
        self.open: list[int] = []
        self.star = -1  # where in ``out`` a star stands that only plain text has followed

    def fail(self, message: str, at: int) -> PatternError:
        return PatternError(message, self.whole, self.position + at)

    def run(self) -> str:
        if len(self.text) > MAX_LENGTH:
            raise self.fail(f"longer than {MAX_LENGTH} characters", MAX_LENGTH)
        while self.at < len(self.text):
            self.step(self.text[self.at])
            self.at += 1
        if self.open:
            raise self.fail('"{" is never closed', self.open[-1])
        return f"(?:{''.join(self.out)})"

    def step(self, ch: str) -> None:
        if ch == "*":
            self.any()
        elif ch == "?":
            self.out.append(".")
        elif ch == "[":
            self.char_class()
        elif ch == "{":
            if len(self.open) == MAX_BRACES:
                raise self.fail(f'"{{" nested more than {MAX_BRACES} deep', self.at)
            self.open.append(self.at)
            self.out.append("(?:")
            self.star = -1
        elif ch == "}":
            if not self.open:
                raise self.fail('"}" without "{"', self.at)
            self.open.pop()
            self.out.append(")")
        elif ch == "|" or (ch == "," and self.open):
            self.out.append("|")
            self.star = -1
        else:
            self.out.append(re.escape(ch))

    def any(self) -> None:
        if self.out[-1:] == [".*"]:  # a run of stars is one star
            return
        if self.star >= 0:
            # Between two stars the first fit of the plain text is as good as any other, and an
            # atomic group keeps a failing match from trying them all.
            text = "".join(self.out[self.star + 1 :])
            self.out[self.star :] = [f"(?>.*?{text})"]
        self.star = len(self.out) if not self.open else -1
        self.out.append(".*")

    def char_class(self) -> None:
        end = class_end(self.text, self.at)
        if end < 0:
            raise self.fail('"[" is never closed', self.at)
        negated = self.text[self.at + 1] == "!"
        body = self.text[self.at + 1 + negated : end]
        self.out.append(f"[{'^' if negated else ''}{self.ranges(body)}]")
        self.at = end

    def ranges(self, body: str) -> str:
        out: list[str] = []
        at = 0
        while at < len(body):
            if body[at + 1 : at + 2] == "-" and at + 2 < len(body):
                low, high = body[at], body[at + 2]
                if low > high:
                    raise self.fail(f'"{low}-{high}" is an empty range', self.at)
                out.append(f"{re.escape(low)}-{re.escape(high)}")
                at += 3
            else:
                out.append(re.escape(body[at]))
                at += 1
        return "".join(out)

"""The tokens of WAVE, the text encoding of component model values, and its one error."""

from __future__ import annotations

import re

from whamm_cm.errors import UsageError

KEYWORDS = frozenset({"true", "false", "inf", "nan", "some", "none", "ok", "err"})

_SPACE = re.compile(r"(?:\s|//[^\n]*)*")
_LABEL = re.compile(r"[a-zA-Z][a-zA-Z0-9]*(?:-[a-zA-Z0-9]+)*")
_NUMBER = re.compile(r"-?(?:inf\b|(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)")
_PLAIN = {'"': re.compile(r'[^"\\\n]+'), "'": re.compile(r"[^'\\\n]")}
_HEX = re.compile(r"\{([0-9a-fA-F]{1,6})\}")
_ESCAPES = {"'": "'", '"': '"', "\\": "\\", "t": "\t", "n": "\n", "r": "\r"}
_MULTILINE = re.compile(r'"""\r?\n(.*?)(?:(?<=\n)|\r?\n)( *)"""', re.DOTALL)


class WaveError(UsageError):
    """Text that is not WAVE or not a value of its type; shows the place with a caret."""

    def __init__(self, reason: str, text: str, at: int) -> None:
        self.reason, self.text, self.at = reason, text, at
        start = text.rfind("\n", 0, at) + 1
        end = text.find("\n", at)
        line = text[start : end if end >= 0 else len(text)]
        column, shown = at - start, line
        if len(line) > 160:  # keep the caret in sight on a long line
            cut = max(0, column - 80)
            shown, column = line[cut : cut + 160], column - cut
        where = f"line {text.count(chr(10), 0, at) + 1} " if "\n" in text else ""
        where += f"column {at - start + 1}"
        super().__init__(f"{reason} at {where}\n  {shown}\n  {' ' * column}^")


class Scanner:
    """A cursor over WAVE text; an ``accept_*`` that finds nothing leaves it where it was."""

    __slots__ = ("pos", "text")

    def __init__(self, text: str, pos: int = 0) -> None:
        self.text, self.pos = text, pos

    def fail(self, reason: str, at: int | None = None) -> WaveError:
        """The error to raise: ``reason`` at ``at`` or at the next token."""
        if at is None:
            self.skip()
            at = self.pos
        return WaveError(reason, self.text, at)

    def skip(self) -> None:
        match = _SPACE.match(self.text, self.pos)
        assert match is not None  # the pattern matches the empty string
        self.pos = match.end()

    def peek(self) -> str:
        """The next character that is not blank, or ``""`` at the end."""
        self.skip()
        return self.text[self.pos : self.pos + 1]

    def accept(self, token: str) -> bool:
        self.skip()
        if not self.text.startswith(token, self.pos):
            return False
        self.pos += len(token)
        return True

    def expect(self, token: str, what: str) -> None:
        if not self.accept(token):
            raise self.fail(f"expected '{token}' {what}")

    def accept_label(self) -> tuple[str, bool] | None:
        """A label and whether it was escaped with ``%`` (then it is never a keyword)."""
        start = self.pos
        escaped = self.accept("%")
        self.skip()
        match = _LABEL.match(self.text, self.pos)
        if match is None:
            self.pos = start
            return None
        self.pos = match.end()
        return match.group(), escaped

    def accept_keyword(self, *words: str) -> str | None:
        start = self.pos
        label = self.accept_label()
        if label is not None and not label[1] and label[0] in words:
            return label[0]
        self.pos = start
        return None

    def accept_number(self) -> str | None:
        self.skip()
        match = _NUMBER.match(self.text, self.pos)
        if match is None:
            return None
        self.pos = match.end()
        return match.group()

    def accept_char(self) -> str | None:
        if not self.accept("'"):
            return None
        char = self._char("'")
        if char is None or not self.text.startswith("'", self.pos):
            raise self.fail("expected one character between single quotes", self.pos)
        self.pos += 1
        return char

    def accept_string(self) -> str | None:
        if self.peek() != '"':
            return None
        if self.text.startswith('"""', self.pos):
            return self._multiline()
        self.pos += 1
        return self._quoted('"')

    def _quoted(self, quote: str) -> str:
        start, parts = self.pos - 1, []
        while (part := self._char(quote)) is not None:
            parts.append(part)
        if not self.text.startswith(quote, self.pos):
            raise self.fail("this string has no closing quote", start)
        self.pos += 1
        return "".join(parts)

    def _char(self, quote: str) -> str | None:
        """A run of plain characters (one, between single quotes) or one escape."""
        if self.text.startswith("\\", self.pos):
            return self._escape()
        match = _PLAIN[quote].match(self.text, self.pos)
        if match is None:
            return None
        for index, char in enumerate(match.group()):
            if 0xD800 <= ord(char) <= 0xDFFF:  # bytes of the command line that are not UTF-8
                raise self.fail("this text is not valid UTF-8", self.pos + index)
        self.pos = match.end()
        return match.group()

    def _escape(self) -> str:
        start = self.pos
        name = self.text[start + 1 : start + 2]
        self.pos += 2
        if name in _ESCAPES:
            return _ESCAPES[name]
        digits = _HEX.match(self.text, self.pos) if name == "u" else None
        if digits is None:
            raise self.fail(r"unknown escape (known: \' \" \\ \t \n \r \u{…})", start)
        code = int(digits.group(1), 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise self.fail("this escape is not a Unicode scalar value", start)
        self.pos = digits.end()
        return chr(code)

    def _multiline(self) -> str:
        start = self.pos
        match = _MULTILINE.match(self.text, start)
        if match is None:
            raise self.fail('a """ string needs a line break after it and before its end', start)
        indent, parts = match.group(2), []
        at = match.start(1)
        for line in match.group(1).split("\n") if match.end(1) > match.start(1) else []:
            if not line.startswith(indent):
                raise self.fail("this line is indented less than the closing quotes", at)
            body = Scanner(line.removesuffix("\r") + '"', len(indent))
            parts.append(body._line(self, at))
            at += len(line) + 1
        self.pos = match.end()
        return "\n".join(parts)

    def _line(self, outer: Scanner, at: int) -> str:
        """One line of a multiline string, where a quote needs no escape."""
        parts = []
        end = len(self.text) - 1
        while self.pos < end:
            part = self._char('"')
            if part is None:
                part, self.pos = '"', self.pos + 1
            parts.append(part)
        if self.pos > end:
            raise outer.fail("unknown escape at the end of a line", at)
        return "".join(parts)

"""Text that is safe to look at, whoever wrote it: the one place where that is decided.

Names and values come from guests.  What a terminal would act on (C0 and C1 controls, escape
sequences), what reorders a line (bidirectional marks) or cannot be seen is written as an escape.
"""

from __future__ import annotations

import re

ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
#: What makes a spreadsheet take a cell for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d+)?(e[+-]?\d+)?|inf|nan)", re.IGNORECASE)


def printable(text: str) -> str:
    """``text`` on one line, with everything escaped that a terminal would act on."""
    if text.isprintable():
        return text
    return "".join(ESCAPES.get(c) or shown(c) for c in text)


def quoted(text: str) -> str:
    """The same between double quotes, as in a program."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(ESCAPES.get(c) or shown(c) for c in text) + '"'


def lines(text: str) -> str:
    """``text`` of several lines: line breaks and tabs stay."""
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" else shown(c) for c in text)


def shown(ch: str) -> str:
    if ch.isprintable():
        return ch
    return ESCAPES.get(ch) or f"\\u{{{ord(ch):x}}}"


def json_text(text: str) -> str:
    """A JSON text with everything inside its strings escaped that cannot be printed."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else _json_escape(c) for c in text)


def _json_escape(ch: str) -> str:
    code = ord(ch)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 | code >> 10:04x}\\u{0xDC00 | code & 0x3FF:04x}"


def csv_cell(value: object) -> str:
    """A cell of a table: printable, and no formula for a spreadsheet.

    Text that begins like a formula gets an apostrophe before it, unless it is a number.
    """
    text = lines(str(value))
    if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text):
        return "'" + text
    return text

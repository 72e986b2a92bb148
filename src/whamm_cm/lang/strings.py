"""What the methods of strings do where they are known before: ``agent/strings.h`` in Python.

Strings are bytes here.  A result that ends within a character raises UnicodeDecodeError.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from whamm_cm.lang.layout import MOST_BYTES
from whamm_cm.lang.numbers import INTS
from whamm_cm.lang.regex import table_of

_NUMBER = re.compile(rb"[ \t-\r]*([+-]?)(?:0[xX]([0-9a-fA-F]+)|([0-9]+))")
_BLANKS = b" \t\n\v\f\r"


def utf8(text: str) -> bytes:
    """A script string as it lies in memory; lone surrogates stay."""
    return text.encode("utf-8", "surrogatepass")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")


def split(text: str, separator: str, index: int) -> str:
    """Piece ``index``, from the end if it is negative; empty where there is none."""
    pieces = utf8(text).split(utf8(separator)) if separator else [utf8(text)]
    return _text(pieces[index]) if -len(pieces) <= index < len(pieces) else ""


def slice_(text: str, start: int, end: int) -> str:
    """Bytes ``start`` to ``end``, both from the end if they are negative."""
    return _text(utf8(text)[start:end])


def to_int(text: str) -> int:
    """The number the text begins with, in range of an i64; 0 without one."""
    found = _NUMBER.match(utf8(text))
    if found is None:
        return 0
    value = int(found[2], 16) if found[2] else int(found[3])
    value, kind = -value if found[1] == b"-" else value, INTS["i64"]
    return max(kind.low, min(kind.high, value))


def _cased(text: str, change: Callable[[bytes], bytes]) -> str:
    raw = utf8(text)[:MOST_BYTES]
    return change(raw).decode("utf-8", "ignore" if len(raw) == MOST_BYTES else "surrogatepass")


#: By the name of their :class:`~whamm_cm.lang.tree.Builtin`.
OPERATIONS: dict[str, Callable[..., object]] = {
    "str.len": lambda s: len(utf8(s)),
    "str.starts_with": lambda s, p: utf8(s).startswith(utf8(p)),
    "str.ends_with": lambda s, p: utf8(s).endswith(utf8(p)),
    "str.contains": lambda s, p: utf8(p) in utf8(s),
    "str.eq": lambda a, b: a == b,
    "str.matches": lambda s, p: table_of(p).matches(s),
    "str.find": lambda s, t: utf8(s).find(utf8(t)),
    "str.split": split,
    "str.slice": slice_,
    "str.trim": lambda s: _text(utf8(s).strip(_BLANKS)),
    "str.lower": lambda s: _cased(s, bytes.lower),
    "str.upper": lambda s: _cased(s, bytes.upper),
    "str.to_int": to_int,
}

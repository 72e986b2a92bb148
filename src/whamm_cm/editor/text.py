"""A script that is being written: places as editors count them, and edits."""

from __future__ import annotations

import re
from bisect import bisect_right

from whamm_cm.dataclass import dataclass

_LINE_END = re.compile(r"\r\n|\n|\r")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Place:
    """``line`` and ``unit`` from 0; a unit is what the encoding of positions counts."""

    line: int
    unit: int


class Text:
    """A script; ``encoding``: ``utf-16``, which editors count by unless they agree on ``utf-8`` or
    ``utf-32``."""

    def __init__(self, text: str, encoding: str = "utf-16") -> None:
        # Half a pair of UTF-16 is no character, and nothing here could write it.
        self.text = _SURROGATE.sub("\ufffd", text)
        self.encoding = encoding
        self.starts = [0, *(found.end() for found in _LINE_END.finditer(self.text))]

    def offset(self, place: Place) -> int:
        """The character at a place; what is behind the end of a line or of the text is its end."""
        if place.line >= len(self.starts) or place.line < 0:
            return len(self.text) if place.line > 0 else 0
        start, end = self._line(place.line)
        if place.unit <= 0:
            return start
        units = 0
        for at in range(start, min(end, start + place.unit)):
            units += self._size(self.text[at])
            if units > place.unit:
                return at
            if units == place.unit:
                return at + 1
        return min(end, start + place.unit)

    def place(self, offset: int) -> Place:
        offset = max(0, min(offset, len(self.text)))
        line = bisect_right(self.starts, offset) - 1
        start, end = self._line(line)
        before = self.text[start : min(offset, end)]
        return Place(line, len(before) if before.isascii() else sum(map(self._size, before)))

    def edited(self, start: Place, end: Place, text: str) -> Text:
        """With ``text`` in the place of what stands between."""
        first = self.offset(start)
        last = max(first, self.offset(end))
        return Text(self.text[:first] + text + self.text[last:], self.encoding)

    def _line(self, line: int) -> tuple[int, int]:
        """Where a line starts and where it ends, without what ends it."""
        start = self.starts[line]
        if line + 1 == len(self.starts):
            return start, len(self.text)
        end = self.starts[line + 1] - 1
        if end > start and self.text[end - 1 : end + 1] == "\r\n":
            end -= 1
        return start, end

    def _size(self, char: str) -> int:
        if self.encoding == "utf-32":
            return 1
        if self.encoding == "utf-8":
            return len(char.encode())
        return 2 if char > "\uffff" else 1

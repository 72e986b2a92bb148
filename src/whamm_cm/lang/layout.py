"""How a value is laid out in a text: what stands in the braces of ``print`` and ``format``.

``{[:[[fill]align][+][#][0][width][.precision][type]]}``, as in Rust and Python.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from whamm_cm.dataclass import dataclass

#: Bytes of a text at most.
MOST_BYTES = 16384
#: Characters of a field, and digits behind a point, at most.
MOST_WIDE, MOST_PRECISE = 1000, 100
INTEGER_KINDS, FLOAT_KINDS = frozenset("dxXobc"), frozenset("fe")
BASES = {"": 10, "d": 10, "x": 16, "X": 16, "o": 8, "b": 2}
_FORM = "[[fill]< > ^][+][#][0][width][.precision][one of dxXobcefs]"
_FIELD = re.compile(
    r"(?P<align>(?P<fill>.)??[<>^])?(?P<plus>\+)?(?P<prefix>#)?(?P<zero>0)?(?P<width>[1-9]\d*)?"
    r"(?P<precision>\.\d+)?(?P<kind>[dxXobecsf])?",
    re.S,
)


@dataclass(frozen=True, slots=True)
class Layout:
    """``align``: ``<``, ``>``, ``^``, ``=`` (zeros between sign and digits) or "" for that of the
    type; ``width`` 0 and ``precision`` None: not said; ``kind``: ``d x X o b c e f s`` or ""."""

    fill: str = " "
    align: str = ""
    plus: bool = False
    prefix: bool = False
    width: int = 0
    precision: int | None = None
    kind: str = ""

    @property
    def for_integers(self) -> bool:
        return self.kind in INTEGER_KINDS

    @property
    def for_floats(self) -> bool:
        return self.kind in FLOAT_KINDS

    def misfit(self, what: str) -> str:
        """What does not go together with a value that is an ``integer``, ``float``, ``bool`` or
        ``str``; "" if all does."""
        if self.for_integers and what != "integer":
            return f'"{self.kind}" is for integers'
        if self.for_floats and what != "float":
            return f'"{self.kind}" is for floats'
        number = what in ("integer", "float") and self.kind not in ("c", "s")
        if not number and (self.plus or self.align == "="):
            return f'"{"+" if self.plus else "0"}" is for numbers'
        if self.prefix and (what != "integer" or self.kind not in ("x", "X", "o", "b")):
            return '"#" is for integers of type x, X, o or b'
        if self.precision is not None and not (what == "str" or (what == "float" and number)):
            return "a precision is for floats and strings"
        return ""

    def padded(self, text: str, number: bool) -> str:
        """``text`` in its field, as the guest fills it."""
        align = self.align or (">" if number else "<")
        if align == "=":
            head = re.match(r"[+-]?(?:0[xXob])?", text)
            assert head is not None
            return head[0] + text[head.end() :].rjust(self.width - head.end(), "0")
        more = max(self.width - len(text), 0)
        before = {"<": 0, ">": more, "^": more // 2}[align]
        return self.fill * before + text + self.fill * (more - before)

    def integer(self, value: int, bits: int) -> str:
        """What the guest writes for an integer of that many bits."""
        if self.kind == "c":
            valid = 0 <= value < 0xD800 or 0xE000 <= value < 0x110000
            return self.padded(chr(value) if valid else "\ufffd", False)
        if self.kind == "s":
            return self.padded(str(value), False)
        base = BASES[self.kind]
        if base != 10:
            value %= 1 << bits
        prefix = f"0{self.kind}" if self.prefix else ""
        sign = "-" if value < 0 else "+" if self.plus else ""
        return self.padded(sign + prefix + format(abs(value), self.kind or "d"), True)

    def float(self, value: float, shortest: str) -> str:
        """The same of a float; ``shortest``: its text without a layout."""
        if self.kind == "s":
            return self.padded(shortest, False)
        sign = "+" if self.plus and (math.isnan(value) or math.copysign(1, value) > 0) else ""
        if self.kind in FLOAT_KINDS or self.precision is not None:
            precision = 6 if self.precision is None else self.precision
            shortest = "nan" if math.isnan(value) else f"{value:.{precision}{self.kind or 'f'}}"
        return self.padded(sign + shortest, True)

    def text(self, text: str) -> str:
        return self.padded(text if self.precision is None else text[: self.precision], False)


PLAIN = Layout()


class BadField(ValueError):
    """What is wrong in a text with fields, and where: characters ``start`` to ``end``."""

    def __init__(self, message: str, start: int, end: int, hint: str = "") -> None:
        super().__init__(message)
        self.start, self.end, self.hint = start, end, hint


def layout_of(text: str, start: int = 0) -> Layout:
    """What stands behind the colon.  Raises BadField; ``start``: where it stands."""
    found, end = _FIELD.fullmatch(text), start + len(text)
    if found is None:
        raise BadField(f'"{text}" says no layout', start, end, f"write {_FORM}")
    width, dot = int(found["width"] or 0), found["precision"]
    precision = int(dot[1:]) if dot else None
    if width > MOST_WIDE:
        raise BadField(f"no value is wider than {MOST_WIDE}", start, end)
    if precision is not None and precision > MOST_PRECISE:
        raise BadField(f"no value is more precise than {MOST_PRECISE}", start, end)
    align = found["align"]
    zeros = found["zero"] is not None and width > 0
    return Layout(
        found["fill"] or ("0" if zeros else " "),
        align[-1] if align else "=" if zeros else "",
        found["plus"] is not None,
        found["prefix"] is not None,
        width,
        precision,
        found["kind"] or "",
    )


def fields(text: str) -> Iterator[str | tuple[Layout, int, int]]:
    """What is between the braces, as it is to be shown, and the layouts in them with where those
    stand.  ``{{`` and ``}}`` are braces.  Raises BadField."""
    current, at = "", 0
    while at < len(text):
        if text[at : at + 2] in ("{{", "}}"):
            current += text[at]
            at += 2
            continue
        if text[at] not in "{}":
            current += text[at]
            at += 1
            continue
        end = _end_of(text, at)
        if current:
            yield current
        current = ""
        yield layout_of(text[at + 2 : end - 1], at + 2) if end > at + 2 else PLAIN, at, end
        at = end
    if current:
        yield current


def _end_of(text: str, at: int) -> int:
    """Behind the field that begins there."""
    end = text.find("}", at) + 1
    if text[at] == "}" or not end:
        raise BadField(f'a single "{text[at]}" in the text', at, at + 1,
                       "a value is {}, a brace {{ or }}")  # fmt: skip
    if text[at + 1] == ":" and text[end - 2 : end + 1] in (":}<", ":}>", ":}^"):
        end = text.find("}", end) + 1 or end  # the brace is what it is filled with
    if text[at + 1] not in ":}":
        raise BadField("values have no names and no numbers here", at + 1, end - 1,
                       "write {} and the values in their order behind the text")  # fmt: skip
    return end

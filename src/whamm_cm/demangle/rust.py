"""Rust's two manglings: the legacy one (``_ZN…17h<hash>E``) and v0 (``_R…``, RFC 2603).

Names are written as ``rustc`` writes paths, without crate disambiguators, hashes and types of
constants.  Every function here raises :class:`Unclear` for what it does not understand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

#: Longest output; back references can make a short name very long.
LONGEST = 1 << 15
_DEEPEST = 120
_MOST_STEPS = 1 << 16


class Unclear(Exception):
    """Not a mangled name, or one that is not understood."""


# Legacy

_LEGACY = re.compile(r"_?_ZN(?=\d)")
_HASH = re.compile(r"h[0-9a-f]{16}")
#: What may follow a mangled name; ``.llvm.…`` says nothing to people.
_SUFFIX = re.compile(r"(?:\.llvm\.[0-9A-Fa-f@]*)?((?:\.[!-~]*)?)")
_ESCAPE = re.compile(r"\$(?:([A-Z]{1,2})|u([0-9a-f]{1,6}))\$|\.\.")
_ESCAPES = {
    "SP": "@", "BP": "*", "RF": "&", "LT": "<", "GT": ">", "LP": "(", "RP": ")", "C": ",",
}  # fmt: skip


def legacy(name: str) -> str:
    """``core::ptr::drop_in_place<T>``."""
    start = _LEGACY.match(name)
    if start is None:
        raise Unclear
    parts, at = [], start.end()
    while name[at : at + 1] != "E":
        digits = re.compile(r"[1-9][0-9]{0,4}").match(name, at)
        if digits is None:
            raise Unclear
        at = digits.end() + int(digits[0])
        parts.append(name[digits.end() : at])
    if len(parts) < 2 or not _HASH.fullmatch(parts[-1]):
        raise Unclear
    return "::".join(map(_unescaped, parts[:-1])) + suffix(name[at + 1 :])


def suffix(rest: str) -> str:
    """What is behind a mangled name, as it is shown."""
    found = _SUFFIX.fullmatch(rest)
    if found is None:
        raise Unclear
    return found[1]


def _unescaped(part: str) -> str:
    return _ESCAPE.sub(_escaped, part[1:] if part.startswith("_$") else part)


def _escaped(found: re.Match[str]) -> str:
    if found[0] == "..":
        return "::"
    if found[1]:
        return _ESCAPES.get(found[1], found[0])
    text = _scalar(int(found[2], 16))
    return text if text is not None and text.isprintable() else found[0]


def _scalar(value: int) -> str | None:
    return chr(value) if value < 0xD800 or 0xE000 <= value < 0x110000 else None


# v0

_BASIC = {
    "b": "bool", "c": "char", "e": "str", "u": "()", "a": "i8", "s": "i16", "l": "i32",
    "x": "i64", "n": "i128", "i": "isize", "h": "u8", "t": "u16", "m": "u32", "y": "u64",
    "o": "u128", "j": "usize", "f": "f32", "d": "f64", "z": "!", "p": "_", "v": "...",
}  # fmt: skip
_SPECIAL = {"C": "closure", "S": "shim"}
_DECIMAL = re.compile(r"0|[1-9][0-9]*")
_BASE62 = re.compile(r"[0-9A-Za-z]*_")
_HEX = re.compile(r"([0-9a-f]*)_")
_DIGITS62 = {
    digit: value
    for value, digit in enumerate("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
}


def v0(name: str) -> str:
    """``<alloc::vec::Vec<u8> as core::ops::drop::Drop>::drop``."""
    start = re.compile(r"_?_R(?=[A-Z])").match(name)
    if start is None or not name.isascii():
        raise Unclear
    reader = _V0(name[start.end() :])
    found = reader.path(True)
    if reader.peek().isupper():
        reader.path(False)  # the crate it was instantiated in
    return found + suffix(reader.text[reader.at :])


class _V0:
    """Reads at ``at`` of ``text`` (what follows ``_R``); every method returns what it read."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.depth = self.steps = self.lifetimes = 0

    # Letters and numbers

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def next(self) -> str:
        self.at += 1
        if self.at > len(self.text):
            raise Unclear
        return self.text[self.at - 1]

    def eat(self, letter: str) -> bool:
        found = self.text.startswith(letter, self.at)
        self.at += found
        return found

    def match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = pattern.match(self.text, self.at)
        if found is None or found.end() - self.at > LONGEST:
            raise Unclear
        self.at = found.end()
        return found

    def base62(self) -> int:
        digits = self.match(_BASE62)[0][:-1]
        if len(digits) > 11:
            raise Unclear
        value = 0
        for digit in digits:
            value = 62 * value + _DIGITS62[digit]
        return value + 1 if digits else 0

    def optional62(self, letter: str) -> int:
        return self.base62() + 1 if self.eat(letter) else 0

    def identifier(self) -> str:
        puny = self.eat("u")
        digits = self.match(_DECIMAL)[0]
        if len(digits) > 5:
            raise Unclear
        self.eat("_")
        end = self.at + int(digits)
        found = self.text[self.at : end]
        if end > len(self.text):
            raise Unclear
        self.at = end
        return _punycode(found) if puny else found

    # Nesting

    def nested(self, read: Callable[[], str]) -> str:
        self.depth += 1
        self.steps += 1
        if self.depth > _DEEPEST or self.steps > _MOST_STEPS:
            raise Unclear
        found = read()
        self.depth -= 1
        return bounded(found)

    def referred(self, read: Callable[[], str]) -> str:
        """What ``read`` finds where a back reference points to."""
        start = self.at - 1
        target = self.base62()
        if target >= start:
            raise Unclear
        after, self.at = self.at, target
        found = self.nested(read)
        self.at = after
        return found

    def until_end(self, read: Callable[[], str]) -> Iterator[str]:
        length = 0
        while not self.eat("E"):
            found = read()
            length += len(found)
            if length > LONGEST:
                raise Unclear
            yield found

    def binder(self, read: Callable[[], str]) -> str:
        """``for<'a, 'b> …``."""
        count = self.optional62("G")
        if count > 100:
            raise Unclear
        before = self.lifetimes
        self.lifetimes += count
        names = ", ".join(self.lifetime_at(depth) for depth in range(before, before + count))
        found = read()
        self.lifetimes = before
        return f"for<{names}> {found}" if count else found

    @staticmethod
    def lifetime_at(depth: int) -> str:
        return f"'{chr(ord('a') + depth)}" if depth < 26 else f"'_{depth}"

    def lifetime(self) -> str:
        """``'_`` is one that is not bound, ``'a`` the outermost binder's first."""
        index = self.base62()
        if index > self.lifetimes:
            raise Unclear
        return self.lifetime_at(self.lifetimes - index) if index else "'_"

    # Paths

    def path(self, in_value: bool) -> str:
        tag = self.next()
        read = _PATHS.get(tag)
        if read is None:
            raise Unclear
        return self.nested(lambda: read(self, in_value))

    def crate(self, in_value: bool) -> str:
        self.optional62("s")
        return self.identifier()

    def nested_path(self, in_value: bool) -> str:
        namespace = self.next()
        if not namespace.isalpha():
            raise Unclear
        parent = self.path(in_value)
        number, name = self.optional62("s"), self.identifier()
        if namespace.isupper():
            kind = _SPECIAL.get(namespace, namespace)
            return f"{parent}::{{{kind}{name and ':'}{name}#{number}}}"
        return f"{parent}::{name}" if name else parent

    def inherent(self, in_value: bool) -> str:
        self.own_path()
        return f"<{self.type()}>"

    def implemented(self, in_value: bool) -> str:
        self.own_path()
        return self.of_trait(in_value)

    def of_trait(self, in_value: bool) -> str:
        return f"<{self.type()} as {self.path(False)}>"

    def own_path(self) -> None:
        """Where an ``impl`` stands, which is not shown."""
        self.optional62("s")
        lifetimes, self.lifetimes = self.lifetimes, 1 << 62
        self.path(False)
        self.lifetimes = lifetimes

    def generic(self, in_value: bool) -> str:
        return f"{self.path(in_value)}{'::' * in_value}<{self.arguments()}>"

    def arguments(self) -> str:
        return ", ".join(self.until_end(self.argument))

    def argument(self) -> str:
        if self.eat("L"):
            return self.lifetime()
        return self.constant(False) if self.eat("K") else self.type()

    def path_again(self, in_value: bool) -> str:
        return self.referred(lambda: self.path(in_value))

    # Types

    def type(self) -> str:
        splat = "#[splat] " * self.eat("w")
        tag = self.next()
        basic = _BASIC.get(tag)
        if basic is not None:
            return splat + basic
        read = _TYPES.get(tag)
        if read is None:
            self.at -= 1
            return splat + self.path(False)
        return splat + self.nested(lambda: read(self))

    def reference(self) -> str:
        mutable = "mut " * (self.text[self.at - 1] == "Q")
        lifetime = self.lifetime() if self.eat("L") else "'_"
        named = "" if lifetime == "'_" else f"{lifetime} "
        return f"&{named}{mutable}{self.type()}"

    def array(self) -> str:
        return f"[{self.type()}; {self.constant(True)}]"

    def tuple(self) -> str:
        return _tuple(list(self.until_end(self.type)))

    def function(self) -> str:
        return self.binder(self.signature)

    def signature(self) -> str:
        text = "unsafe " * self.eat("U")
        if self.eat("K"):
            abi = "C" if self.eat("C") else self.identifier()
            if not abi or not abi.isascii():
                raise Unclear
            text += f'extern "{abi.replace("_", "-")}" '
        text += f"fn({', '.join(self.until_end(self.type))})"
        return text if self.eat("u") else f"{text} -> {self.type()}"

    def dynamic(self) -> str:
        bounds = self.binder(lambda: " + ".join(self.until_end(self.bound)))
        if not self.eat("L"):
            raise Unclear
        lifetime = self.lifetime()
        return f"dyn {bounds}" + ("" if lifetime == "'_" else f" + {lifetime}")

    def bound(self) -> str:
        """A trait, with what its associated types are among its arguments."""
        text = self.path(False)
        types = []
        while self.eat("p"):
            name = self.identifier()
            types.append(f"{name} = {self.constant(False) if self.eat('K') else self.type()}")
        if not types:
            return text
        more = ", ".join(types)
        # Only a path with arguments ends like this here: others end with an identifier.
        return f"{text[:-1]}, {more}>" if text.endswith(">") else f"{text}<{more}>"

    def pattern_type(self) -> str:
        return f"{self.type()} is {self.pattern()}"

    def pattern(self) -> str:
        tag = self.next()
        if tag == "R":
            return f"{self.constant(False)}..={self.constant(False)}"
        if tag == "O":
            return self.nested(lambda: " | ".join(self.until_end(self.pattern)))
        if tag != "N":
            raise Unclear
        return "!null"

    # Constants

    def constant(self, in_value: bool) -> str:
        tag = self.next()
        if tag in "htmyoj" or tag in "aslxni":
            return self.number(tag in "aslxni")
        if tag == "B":
            return self.referred(lambda: self.constant(in_value))
        read = _CONSTANTS.get(tag)
        if read is None:
            raise Unclear
        found = self.nested(lambda: read(self))
        bare = in_value or tag in "pbc" or found.startswith('"')
        return found if bare else f"{{{found}}}"

    def hex(self) -> str:
        return self.match(_HEX)[1]

    def number(self, signed: bool) -> str:
        minus = "-" * (signed and self.eat("n"))
        digits = self.hex()
        short = digits.lstrip("0")
        return minus + (f"0x{digits}" if len(short) > 16 else str(int(short or "0", 16)))

    def boolean(self) -> str:
        digits = self.hex().lstrip("0")
        if digits not in ("", "1"):
            raise Unclear
        return "true" if digits else "false"

    def character(self) -> str:
        digits = self.hex().lstrip("0")
        found = _scalar(int(digits or "0", 16)) if len(digits) <= 6 else None
        if found is None:
            raise Unclear
        return _quoted(found, "'")

    def string(self) -> str:
        digits = self.hex()
        try:
            return _quoted(bytes.fromhex(digits).decode(), '"')
        except ValueError:
            raise Unclear from None

    def borrowed(self) -> str:
        mutable = self.text[self.at - 1] == "Q"
        if not mutable and self.eat("e"):
            return self.string()
        return f"&{'mut ' * mutable}{self.constant(True)}"

    def constants(self) -> list[str]:
        return list(self.until_end(lambda: self.constant(True)))

    def constructed(self) -> str:
        path, tag = self.path(True), self.next()
        if tag == "U":
            return path
        if tag == "T":
            return f"{path}({', '.join(self.constants())})"
        if tag != "S":
            raise Unclear
        return f"{path} {{ {', '.join(self.until_end(self.field))} }}"

    def field(self) -> str:
        self.optional62("s")
        return f"{self.identifier()}: {self.constant(True)}"


_PATHS: dict[str, Callable[[_V0, bool], str]] = {
    "C": _V0.crate,
    "N": _V0.nested_path,
    "M": _V0.inherent,
    "X": _V0.implemented,
    "Y": _V0.of_trait,
    "I": _V0.generic,
    "B": _V0.path_again,
}
_TYPES: dict[str, Callable[[_V0], str]] = {
    "R": _V0.reference,
    "Q": _V0.reference,
    "P": lambda reader: f"*const {reader.type()}",
    "O": lambda reader: f"*mut {reader.type()}",
    "A": _V0.array,
    "S": lambda reader: f"[{reader.type()}]",
    "T": _V0.tuple,
    "F": _V0.function,
    "D": _V0.dynamic,
    "W": _V0.pattern_type,
    "B": lambda reader: reader.referred(reader.type),
}
_CONSTANTS: dict[str, Callable[[_V0], str]] = {
    "p": lambda reader: "_",
    "b": _V0.boolean,
    "c": _V0.character,
    "e": lambda reader: f"*{reader.string()}",
    "R": _V0.borrowed,
    "Q": _V0.borrowed,
    "A": lambda reader: f"[{', '.join(reader.constants())}]",
    "T": lambda reader: _tuple(reader.constants()),
    "V": _V0.constructed,
}


def bounded(text: str) -> str:
    """``text``, unless it is too long."""
    if len(text) > LONGEST:
        raise Unclear
    return text


def _tuple(items: list[str]) -> str:
    return f"({', '.join(items)}{',' * (len(items) == 1)})"


_NAMED = {"\0": "\\0", "\t": "\\t", "\r": "\\r", "\n": "\\n", "\\": "\\\\"}


def _quoted(text: str, quote: str) -> str:
    """A literal of Rust's."""
    escapes = _NAMED | {quote: f"\\{quote}"}
    shown = (escapes.get(c) or (c if c.isprintable() else f"\\u{{{ord(c):x}}}") for c in text)
    return quote + "".join(shown) + quote


def _punycode(text: str) -> str:
    """RFC 3492, with ``_`` for the delimiter."""
    plain, _, coded = text.rpartition("_")
    if not coded:
        raise Unclear
    try:
        found = (f"{plain}-{coded}" if plain else coded).encode().decode("punycode")
    except (UnicodeError, ValueError, OverflowError):
        raise Unclear from None
    return bounded(found)

"""S-expressions of ``.wast`` text, with the source extent of every list."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<space>\s+|;;[^\n]*)
      | (?P<block>\(;)
      | (?P<open>\()
      | (?P<close>\))
      | (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<atom>[^\s()";]+|;)""",
    re.VERBOSE | re.DOTALL,
)
_BLOCK_EDGE = re.compile(r"\(;|;\)")
_ESCAPE = re.compile(rb"\\(?:u\{([0-9a-fA-F_]+)\}|([0-9a-fA-F]{2})|(.))", re.DOTALL)
_NAMED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b'"': b'"', b"'": b"'", b"\\": b"\\"}


class SyntaxFault(Exception):
    """The text is not a sequence of balanced s-expressions."""


@dataclass(frozen=True, slots=True)
class Atom:
    text: str


@dataclass(frozen=True, slots=True)
class Str:
    data: bytes


@dataclass(frozen=True, slots=True)
class Form:
    """A parenthesised list; ``start`` and ``end`` are offsets into the source text."""

    items: tuple[Node, ...]
    start: int
    end: int

    @property
    def head(self) -> str:
        """The text of the first item when it is an atom, else the empty string."""
        first = self.items[0] if self.items else None
        return first.text if isinstance(first, Atom) else ""


Node = Atom | Str | Form


def unescape(literal: str) -> bytes:
    """The bytes of a quoted string literal (``literal`` without its quotes)."""

    def one(match: re.Match[bytes]) -> bytes:
        scalar, byte, other = match.groups()
        if scalar is not None:
            return chr(int(scalar.replace(b"_", b""), 16)).encode("utf-8", "surrogatepass")
        if byte is not None:
            return bytes([int(byte, 16)])
        return _NAMED.get(other, other)

    return _ESCAPE.sub(one, literal.encode("utf-8", "surrogatepass"))


def _skip_block(text: str, at: int) -> int:
    """The offset just behind the (nesting) block comment that starts at ``at``."""
    depth = 0
    for match in _BLOCK_EDGE.finditer(text, at):
        depth += 1 if match.group() == "(;" else -1
        if depth == 0:
            return match.end()
    raise SyntaxFault(f"block comment at offset {at} never ends")


def _tokens(text: str) -> Iterator[tuple[str, int, int]]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise SyntaxFault(f"unexpected character {text[at]!r} at offset {at}")
        kind = match.lastgroup or ""
        if kind == "block":
            at = _skip_block(text, at)
            continue
        if kind != "space":
            yield kind, at, match.end()
        at = match.end()


def parse(text: str) -> list[Form]:
    """The top-level lists of ``text``."""
    top: list[Form] = []
    open_lists: list[tuple[int, list[Node]]] = []
    for kind, start, end in _tokens(text):
        if kind == "open":
            open_lists.append((start, []))
            continue
        if not open_lists:
            raise SyntaxFault(f"{text[start:end]!r} outside a list at offset {start}")
        if kind == "close":
            begin, items = open_lists.pop()
            form = Form(tuple(items), begin, end)
            if open_lists:
                open_lists[-1][1].append(form)
            else:
                top.append(form)
        elif kind == "string":
            open_lists[-1][1].append(Str(unescape(text[start + 1 : end - 1])))
        else:
            open_lists[-1][1].append(Atom(text[start:end]))
    if open_lists:
        raise SyntaxFault(f"the list at offset {open_lists[-1][0]} never ends")
    return top

"""YAML with the place of every node, for files that people write and a gate trusts.

A strict subset: one key once, no anchors, aliases, merge keys or tags; text that must be text has
to look like it (``no`` and ``1.0`` want quotes).  What is wrong is one sentence with its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import yaml

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import UsageError, WhammError, nearest
from whamm_cm.gate.model import Location

MAX_BYTES = 1 << 20
MAX_NODES = 100_000
MAX_DEPTH = 64

#: Makes the error of a sentence.
Fail: TypeAlias = Callable[[str], WhammError]


@dataclass(frozen=True, slots=True)
class Node:
    """``value``: a scalar (None bool int float str date), a list of nodes, or a dict of nodes by
    key.  ``keys``: where each key of a dict stands.  ``text``: a scalar as it is written."""

    value: Any
    location: Location
    keys: Mapping[str, Location]
    text: str = ""

    @property
    def kind(self) -> str:
        """What a user would call it."""
        if isinstance(self.value, dict):
            return "a mapping"
        if isinstance(self.value, list):
            return "a list"
        return "nothing" if self.value is None else f'"{_short(self.text)}"'

    def fail(self, message: str) -> UsageError:
        return UsageError(f"{self.location}: {message}")

    def mapping(
        self, what: str, known: Mapping[str, str] | tuple[str, ...] = ()
    ) -> dict[str, Node]:
        """The entries; ``known`` keys only, if any are named."""
        if not isinstance(self.value, dict):
            raise self.fail(f"{what} must be a mapping, not {self.kind}")
        for key in self.value if known else ():
            if key not in known:
                raise UsageError(f"{self.keys[key]}: {unknown('key', key, known)} in {what}")
        return self.value

    def items(self, what: str) -> list[Node]:
        """Nothing is an empty list: the last line of one may have been taken out."""
        if self.value is None:
            return []
        if not isinstance(self.value, list):
            raise self.fail(f"{what} must be a list, not {self.kind}")
        return self.value

    def string(self, what: str) -> str:
        if isinstance(self.value, str) and self.value:
            return self.value
        if isinstance(self.value, str):
            raise self.fail(f"{what} is empty")
        hint = "" if isinstance(self.value, dict | list) or self.value is None else "; quote it"
        raise self.fail(f"{what} must be text, not {self.kind}{hint}")

    def number(self, what: str, least: int = 0) -> float:
        if type(self.value) not in (int, float) or not least <= self.value < 1e18:
            raise self.fail(f"{what} must be a number of at least {least}, not {self.kind}")
        return float(self.value) if type(self.value) is float else self.value

    def integer(self, what: str, least: int = 0) -> int:
        if type(self.value) is not int or not least <= self.value < 1 << 63:
            raise self.fail(f"{what} must be a whole number of at least {least}, not {self.kind}")
        number: int = self.value
        return number

    def choice(self, what: str, known: tuple[str, ...]) -> str:
        # YAML 1.1 reads a bare off as false.
        text = self.text if self.value is False and "off" in known else self.value
        if not isinstance(text, str) or text not in known:
            near = _near(text, known) if isinstance(text, str) else ""
            options = ", ".join(known)
            raise self.fail(f"{what} must be one of {options}, not {self.kind}{near}")
        return text


def unknown(what: str, word: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    """``unknown key "alow"; did you mean "allow"?``"""
    near = _near(word, tuple(known)) or f" (known: {', '.join(known)})"
    return f'unknown {what} "{_short(word)}"{near}'


def _near(word: str, known: tuple[str, ...]) -> str:
    found = nearest(word, known)
    return f'; did you mean "{found}"?' if found else ""


def _short(text: str) -> str:
    shown = "".join(ch if ch.isprintable() else "\N{REPLACEMENT CHARACTER}" for ch in text[:61])
    return shown if len(text) <= 60 else shown[:60] + "…"


def read(path: str) -> bytes:
    """A file as far as :func:`load` looks at it; raises OSError, ValueError for an odd name."""
    with open(path, "rb") as file:
        return file.read(MAX_BYTES + 1)


def load(data: bytes, file: str, error: type[WhammError] = UsageError) -> Node:
    """The one document of ``data``.  Raises ``error`` with ``file:line:column``."""
    documents = load_all(data, file, error)
    if len(documents) > 1:
        raise error(f"{documents[1].location}: a second document; one is expected")
    if not documents:
        raise error(f"{file}:1:1: the file is empty")
    return documents[0]


def load_all(data: bytes, file: str, error: type[WhammError] = UsageError) -> list[Node]:
    """Every document of ``data``, in order; empty ones are left out."""
    if len(data) > MAX_BYTES:
        raise error(f"{file}:1:1: larger than {MAX_BYTES >> 20} MiB, which no such file is")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as bad:
        before = data[: bad.start]
        line = before.count(b"\n") + 1
        column = bad.start - (before.rfind(b"\n") + 1) + 1
        raise error(f"{file}:{line}:{column}: not UTF-8 text") from None
    builder = _Builder(file, error)
    try:
        return [node for node in builder.documents(text) if node.value is not None]
    except yaml.reader.ReaderError as bad:
        line, column = _at(text, bad.position)
        code = f"U+{bad.character:04X}" if isinstance(bad.character, int) else "it"
        raise error(f"{file}:{line}:{column}: YAML does not allow the character {code}") from None
    except yaml.MarkedYAMLError as bad:
        mark = bad.problem_mark or bad.context_mark
        where = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
        words = ", ".join(part for part in (bad.context, bad.problem) if part)
        raise error(f"{file}:{where}: not YAML: {' '.join(words.split())}") from None
    except (ValueError, OverflowError) as bad:  # numbers of escapes, and of versions of YAML
        found = _BEYOND.search(text)
        line, column = _at(text, found.start() if found else 0)
        raise error(f"{file}:{line}:{column}: not YAML: {bad}") from None


def _at(text: str, position: int) -> tuple[int, int]:
    return text.count("\n", 0, position) + 1, position - (text.rfind("\n", 0, position) + 1) + 1


_FIRST = re.compile(r"[-+.0-9~nNyYtTfFoO<=]")
_TAGS = yaml.SafeLoader("")


#: JSON writes characters beyond 16 bits as two escapes, which YAML leaves apart.
_HALVES = re.compile("[\ud800-\udfff]")
#: An escape for a number that no character has.
_BEYOND = re.compile(r"\\U(?!00(0[0-9A-Fa-f]|10))[0-9A-Fa-f]{8}")
#: Where lines end for YAML.
_LINE_ENDS = re.compile("\r\n|[\r\n\x85\u2028\u2029]")


class _Builder:
    """Nodes from events: nothing recurses, and nothing is copied by an alias."""

    def __init__(self, file: str, error: type[WhammError]) -> None:
        self.file, self.error = file, error
        self.nodes = 0
        self.lines: list[str] = []

    def documents(self, text: str) -> Iterator[Node]:
        self.lines = _LINE_ENDS.split(text)
        stack: list[_Open] = []
        for event in yaml.parse(text, yaml.SafeLoader):
            if isinstance(event, yaml.NodeEvent):
                self.check(event, len(stack))
            node: Node | None = None
            if isinstance(event, yaml.ScalarEvent):
                node = self.scalar(event)
            elif isinstance(event, yaml.CollectionStartEvent):
                kind: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
                stack.append(_Open(kind, self.place(event)))
            elif isinstance(event, yaml.CollectionEndEvent):
                done = stack.pop()
                node = Node(done.value, done.location, done.keys)
            if node is not None:
                if stack:
                    self.put(stack[-1], node)
                else:
                    yield node

    def place(self, event: yaml.Event) -> Location:
        mark = event.start_mark
        assert mark is not None, "events of the parser have marks"
        text = self.lines[mark.line] if mark.line < len(self.lines) else ""
        return Location(self.file, mark.line + 1, mark.column + 1, text)

    def check(self, event: yaml.NodeEvent, depth: int) -> None:
        self.nodes += 1
        fault = ""
        if isinstance(event, yaml.AliasEvent):
            fault = f"aliases (*{_short(event.anchor or '')}) are not allowed here; write it out"
        elif event.anchor is not None:
            fault = f"anchors (&{_short(event.anchor)}) are not allowed here; write it out"
        elif getattr(event, "tag", None) not in (None, "!"):
            fault = f"tags ({_short(str(event.tag))}) are not allowed here"  # type: ignore[attr-defined]
        elif depth >= MAX_DEPTH:
            fault = f"nested more than {MAX_DEPTH} deep"
        elif self.nodes > MAX_NODES:
            fault = f"more than {MAX_NODES} values"
        if fault:
            raise self.error(f"{self.place(event)}: {fault}")

    def scalar(self, event: yaml.ScalarEvent) -> Node:
        if _HALVES.search(event.value):
            event.value = self.joined(event)
        value: Any = event.value
        if event.implicit[0] and (not event.value or _FIRST.match(event.value)):
            value = self.plain(event)
        return Node(value, self.place(event), {}, event.value)

    def joined(self, event: yaml.ScalarEvent) -> str:
        try:
            return event.value.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            half = _HALVES.findall(event.value)[0]
            raise self.error(
                f"{self.place(event)}: \\u{ord(half):x} is half a character, which is no text"
            ) from None

    def plain(self, event: yaml.ScalarEvent) -> Any:
        tag = _TAGS.resolve(yaml.ScalarNode, event.value, (True, False))  # type: ignore[no-untyped-call]
        if tag == "tag:yaml.org,2002:merge":
            raise self.error(f"{self.place(event)}: merge keys (<<) are not allowed; write it out")
        if tag == "tag:yaml.org,2002:value":
            return event.value
        try:
            return _TAGS.construct_object(yaml.ScalarNode(tag, event.value))
        except (ValueError, OverflowError) as bad:
            shown = _short(event.value)
            raise self.error(f'{self.place(event)}: "{shown}" makes no sense: {bad}') from None

    def put(self, target: _Open, node: Node) -> None:
        if isinstance(target.value, list):
            target.value.append(node)
        elif target.key is None:
            if isinstance(node.value, dict | list):
                raise self.error(f"{node.location}: a key must be text, not {node.kind}")
            key = node.text
            if key in target.value:
                first = target.keys[key].line
                raise self.error(
                    f'{node.location}: the key "{_short(key)}" is there already, on line {first}'
                )
            target.key, target.keys[key] = key, node.location
        else:
            target.value[target.key] = node
            target.key = None


class _Open:
    def __init__(self, value: Any, location: Location) -> None:
        self.value, self.location = value, location
        self.keys: dict[str, Location] = {}
        self.key: str | None = None

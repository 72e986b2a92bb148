"""Which imports and exports a line of a policy means.

What allows is read narrowly and what denies widely: a denied name is denied in any case, and a
denied version takes its pre-releases and builds along.
"""

from __future__ import annotations

from dataclasses import dataclass

from whamm_cm.errors import UsageError
from whamm_cm.gate.model import Location
from whamm_cm.gate.yamldoc import Node
from whamm_cm.wit.glob import compile_glob
from whamm_cm.wit.names import ItemPattern
from whamm_cm.wit.semver import PatternError, Version


@dataclass(frozen=True, slots=True)
class Line:
    """A pattern with its place.  ``reason`` goes into messages."""

    text: str
    pattern: ItemPattern
    location: Location
    reason: str = ""

    @property
    def by_function(self) -> bool:
        return "#" in self.text

    def allows(self, interface: str, version: str | None, func: str | None) -> bool:
        """``func`` None: of an import without functions, which only the interface names."""
        if func is None:
            return self.pattern.matches_interface(interface, version)
        return self.pattern.matches(interface, version, func)

    def denies(self, interface: str, version: str | None, func: str | None) -> bool:
        return any(
            self.allows(one, other, function)
            for one in dict.fromkeys((interface, interface.lower()))
            for other in _readings(version)
            for function in dict.fromkeys((func, None if func is None else func.lower()))
        )


def _readings(version: str | None) -> tuple[str | None, ...]:
    """As it is, and without pre-release and build."""
    found = Version.try_parse(version) if version is not None else None
    if found is None or not (found.pre or found.build):
        return (version,)
    return version, ".".join(str(part) for part in found.base)


def line(node: Node, what: str) -> Line:
    """A pattern, or a mapping of ``item`` and ``reason``."""
    reason = ""
    if isinstance(node.value, dict):
        entries = node.mapping(what, ("item", "reason"))
        if "item" not in entries:
            raise node.fail(f'{what}: "item" is missing')
        if "reason" in entries:
            reason = entries["reason"].string("reason")
        node = entries["item"]
    text = node.string(what)
    return Line(text, parsed(node, text), node.location, reason)


def parsed(node: Node, text: str) -> ItemPattern:
    try:
        return ItemPattern.parse(text)
    except PatternError as error:
        raise UsageError(f"{node.location}: {error}") from None


def lines(node: Node, what: str) -> tuple[Line, ...]:
    return tuple(line(one, f"an entry of {what}") for one in node.items(what))


def item_matches(pattern: str, item: str) -> bool:
    """Whether a waiver's ``pattern`` means the item of a finding: an interface with or without its
    version and function, or any other text as a glob."""
    if compile_glob(pattern).fullmatch(item):
        return True
    left, _, func = item.partition("#")
    interface, _, version = left.partition("@")
    try:
        return ItemPattern.parse(pattern).matches(interface, version or None, func)
    except PatternError:
        return False

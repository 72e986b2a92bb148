"""Which imports and exports a line of a policy means.

What allows is read narrowly, what denies as widely as a host could link it: in any case of
letters, with every version of the same track, older and newer ones, drafts, and none at all, and by
the name it has in the other release of WASI.
A line that can mean nothing is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import SHOWN, UsageError, cut
from whamm_cm.gate.model import Location
from whamm_cm.gate.renamed import other_interfaces, other_names
from whamm_cm.gate.yamldoc import Node
from whamm_cm.wit import shapes
from whamm_cm.wit.classes import patterns_of
from whamm_cm.wit.glob import Glob, compile_glob, split_top
from whamm_cm.wit.known import INTERFACES
from whamm_cm.wit.names import FunctionGlob, InterfaceName, ItemPattern
from whamm_cm.wit.preview1 import MODULES
from whamm_cm.wit.semver import PatternError


@dataclass(frozen=True, slots=True)
class Line:
    """A pattern, or the patterns of a class, with its place.  ``wide``: the same in lower case.
    ``reason`` goes into messages."""

    text: str
    patterns: tuple[ItemPattern, ...]
    wide: tuple[ItemPattern, ...]
    location: Location
    reason: str = ""

    def allows(self, interface: str, version: str | None, func: str | None) -> bool:
        """``func`` None: of an import without functions, which only the interface names."""
        return any(
            one.matches_interface(interface, version)
            and (func is None or one.matches_function(func))
            for one in self.patterns
        )

    def denies(self, interface: str, version: str | None, func: str | None) -> bool:
        """Also by what the function is called in the other release of WASI."""
        return self._means(interface, version, func) or (
            func is not None
            and any(
                self._means(one, version, name)
                for one, name in other_names(interface.lower(), version, func.lower())
            )
        )

    def concerns(self, interface: str, version: str | None) -> bool:
        """Whether it may deny anything of an interface."""
        return any(
            self._means(one, version, None)
            for one in (interface, *other_interfaces(interface.lower()))
        )

    def _means(self, interface: str, version: str | None, func: str | None) -> bool:
        """In lower case or as it stands, the interface and the function each for itself: of
        ``[!A-Z]`` and ``[!a-z]`` one means less in lower case."""
        low, low_func = interface.lower(), None if func is None else func.lower()
        return any(
            (func is None or one.matches_function(func) or wide.matches_function(low_func or ""))
            and any(
                any(v is None or v.touches(version) for v in (a.version, b.version))
                and (a.interface.fullmatch(interface) or b.interface.fullmatch(low))
                for a, b in zip(one.alternatives, wide.alternatives, strict=True)
            )
            for one, wide in zip(self.patterns, self.wide, strict=True)
        )

    def matching(self, interface: str) -> str:
        """``matches "wasi:io/*"``, as the end of a sentence about an interface that it means."""
        names = (interface, *other_interfaces(interface.lower()))
        other = [self.names(name) for name in names]
        renamed = not other[0] and any(other)
        return f'matches "{self.text}"' + (", as the other release of WASI has it" * renamed)

    def names(self, interface: str) -> bool:
        """Whether it is about ``interface``, at whatever version."""
        return any(a.interface.fullmatch(interface) for p in self.patterns for a in p.alternatives)


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
    return parsed(node.string(what), node.location, reason)


def parsed(text: str, location: Location, reason: str = "") -> Line:
    """Raises UsageError for what is no pattern, and for what no name can ever fit."""
    patterns = tuple(checked(text, location))
    try:
        wide = patterns if text == text.lower() else patterns_of(text.lower())
    except PatternError as error:  # a range such as [Z-a] is none in lower case
        raise UsageError(f"{location}: {error}; names are in lower case") from None
    return Line(text, patterns, wide, location, reason)


def lines(node: Node, what: str) -> tuple[Line, ...]:
    return tuple(line(one, f"an entry of {what}") for one in node.items(what))


# What can mean something


def checked(text: str, location: Location, labels: bool = False) -> Iterator[ItemPattern]:
    """The patterns of ``text``.  ``labels``: plain names may stand without a ``#``."""
    _no_spaces(text, location)
    try:
        patterns = patterns_of(text)
    except PatternError as error:
        remedy = "" if len(text) > SHOWN else _class(text) or _negated(text)
        raise UsageError(f"{location}: {remedy or error}") from None
    for pattern in patterns:
        place = _dead(pattern, labels)
        if place is not None:
            raise UsageError(f"{location}: {_sentence(text, place)}")
        yield pattern


def _no_spaces(text: str, location: Location) -> None:
    odd = next((ch for ch in text if ch.isspace() or not ch.isprintable()), None)
    if odd is not None:
        said = "a space" if odd == " " else f"U+{ord(odd):04X}"
        raise UsageError(
            f"{location}: {cut(text)!r} has {said} in it, which no name has; write it without"
        )


def _dead(pattern: ItemPattern, labels: bool) -> int | None:
    """Where a part stands that no name can fit, -1 where nothing fits, None where all is well."""
    world = [shapes.LABEL, shapes.CORE, shapes.WORLD] if "#" in pattern.text else []
    if labels:
        world.append(shapes.LABEL)
    for alternative in pattern.alternatives:
        if any(map(alternative.interface.fullmatch, MODULES)):
            continue
        place = alternative.interface.dead(shapes.INTERFACE, *world)
        if place is not None:
            return place
        if _miswritten(alternative.interface):
            return alternative.interface.places[0]
    core = any(":" not in each.interface.text for each in pattern.alternatives)
    for function in pattern.functions or ():
        place = _dead_function(function, core)
        if place is not None:
            return place
    return None


def _dead_function(function: FunctionGlob, core: bool) -> int | None:
    """``core``: it may be a function that a core module imports or exports."""
    if function.raw.startswith("[resource-"):
        return -1  # what a host gives has no such function
    if "constructor" in function.raw:
        return function.glob.dead(shapes.LABEL)
    method = "method" in function.raw or "static" in function.raw
    if method:
        return function.glob.dead(shapes.METHOD)
    return function.glob.dead(shapes.FUNCTION, *([shapes.CORE] if core else ()))


def _miswritten(glob: Glob) -> bool:
    """A well-known interface in capitals, which the grammar has room for."""
    return glob.text not in INTERFACES and glob.text.lower() in INTERFACES


def _sentence(text: str, place: int) -> str:
    where = "" if place < 0 else f" from column {place + 1} on"
    remedy = _remedy(text)
    return f"no import or export can match {cut(text)!r}{where}; {remedy}"


def _remedy(text: str) -> str:
    """Says what to write where that is short enough to be read."""
    if len(text) > SHOWN:
        return _FORM
    return next((found for one in _REMEDIES if (found := one(text))), _FORM)


def _negated(text: str) -> str:
    if not text.startswith("!"):
        return ""
    return f'{text!r}: a list takes nothing back with "!"; write {text[1:]!r} on the other list'


def _class(text: str) -> str:
    """A class with something behind it."""
    if not text.startswith("%"):
        return ""
    name = text[: next((i for i, ch in enumerate(text) if ch in "@#|,/*{"), len(text))]
    try:
        patterns_of(name)
    except PatternError:
        return ""
    return f"{text!r}: a class stands alone; write {name!r}" if name != text else ""


def _several(text: str) -> str:
    parts = [part for _, part in split_top(text, ",")]
    return f"write a line for each of {', '.join(map(repr, parts))}" if len(parts) > 1 else ""


def _late_version(text: str) -> str:
    left, sharp, func = text.partition("#")
    name, at, version = func.partition("@")
    if not sharp or not at:
        return ""
    return f"the version stands before the function: {f'{left}@{version}#{name}'!r}"


def _package(text: str) -> str:
    left, sharp, func = text.partition("#")
    name, at, version = left.partition("@")
    bare = name.rstrip("/")
    if ":" not in bare or "/" in bare or "|" in left:
        return ""
    return f"a package has interfaces: write {f'{bare}/*{at}{version}{sharp}{func}'!r}"


def _slash(text: str) -> str:
    if not text.endswith("/"):
        return ""
    return f"write {f'{text}*' if text.count('/') == 1 else text.rstrip('/')!r}"


def _label(text: str) -> str:
    if "#" in text or compile_glob(text).dead(shapes.LABEL) is not None:
        return ""
    return (
        f"write {f'#{text}'!r} for the function {text} of the world,"
        f" {f'{text}#*'!r} for what is imported under that name"
    )


def _capitals(text: str) -> str:
    return f"names are in lower case: {text.lower()!r}" if text != text.lower() else ""


def _underscore(text: str) -> str:
    return f"words are joined by dashes: {text.replace('_', '-')!r}" if "_" in text else ""


def _dotted(text: str) -> str:
    """``wasi:io/poll.poll``"""
    interface, dot, func = text.partition(".")
    if not dot or "#" in text or InterfaceName.try_parse(interface) is None:
        return ""
    return f'functions stand behind a "#": {f"{interface}#{func}"!r}'


def _builtin(text: str) -> str:
    if not text.partition("#")[2].startswith("[resource-"):
        return ""
    return "resources are made and dropped by built-ins, which no host gives"


def _empty(text: str) -> str:
    if not any(not part for _, part in split_top(text.partition("#")[0], "|")):
        return ""
    return 'there is nothing on one side of "|"'


_FORM = "a pattern is interface[@version][#function], such as wasi:sockets/*@0.2#tcp-socket.*"

#: The first that knows what was meant says so.
_REMEDIES: tuple[Callable[[str], str], ...] = (
    _negated, _class, _several, _late_version, _builtin, _empty, _slash, _dotted, _package, _label,
    _underscore, _capitals,
)  # fmt: skip


# Waivers


@lru_cache(maxsize=4096)
def glob(text: str) -> Glob:
    """Compiled once; raises PatternError."""
    return compile_glob(text)


@lru_cache(maxsize=4096)
def _item_patterns(text: str) -> tuple[ItemPattern, ...]:
    try:
        return patterns_of(text)
    except PatternError:
        return ()


def item_matches(pattern: str, item: str) -> bool:
    """Whether a waiver's ``pattern`` means the item of a finding: an interface with or without its
    version and function, or any other text as a glob."""
    if not pattern.startswith("%") and glob(pattern).fullmatch(item):
        return True
    left, _, func = item.partition("#")
    interface, _, version = left.partition("@")
    return any(one.matches(interface, version or None, func) for one in _item_patterns(pattern))

"""Names of the component model and the patterns that select them.

Grammar: Explainer.md, "Import and Export Definitions" (``externname``, ``interfacename``), with the
older forms that components in the wild still carry: ``[async]``, dependencies, URLs and hashes.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from whamm_cm.dataclass import dataclass
from whamm_cm.wit.glob import Glob, compile_glob, split_top
from whamm_cm.wit.semver import PatternError, Version, VersionPattern, compare, version_matches

__all__ = [
    "ExternNameParts",
    "FuncName",
    "InterfaceName",
    "ItemPattern",
    "PatternError",
    "Version",
    "compare",
    "func_label",
    "is_label",
    "version_matches",
]

# No fragment can be read in two ways: digits alone would make a failing match exponential.
_FRAGMENT = r"(?:[0-9]*[a-z][0-9a-z]*|[0-9]*[A-Z][0-9A-Z]*|[0-9]+)"
_LABEL = re.compile(rf"(?:[a-z][0-9a-z]*|[A-Z][0-9A-Z]*)(?:-{_FRAGMENT})*")
_WORDS = re.compile(r"[a-z][0-9a-z]*(?:-[0-9a-z]+)*")
_ANNOTATED = re.compile(r"\[(async|(?:async )?(?:constructor|method|static))\](.*)", re.S)
_DROP = re.compile(r"\[resource-drop\](.*)", re.S)
_BRACKETED = re.compile(
    r"(unlocked-dep|locked-dep|url|integrity)=<([^<>]+(?:\{[^{}]*\})?)>(?:,integrity=<[^<>]+>)?"
)
_BRACKETED_KINDS = {
    "unlocked-dep": "dependency",
    "locked-dep": "dependency",
    "url": "url",
    "integrity": "hash",
}


def is_label(text: str) -> bool:
    """Whether ``text`` is a kebab-case ``label``."""
    return _LABEL.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class InterfaceName:
    """``wasi:http/types@0.2.3``; nested namespaces and packages keep their separators."""

    namespace: str
    package: str
    interface: str
    version: str | None = None

    @staticmethod
    def try_parse(text: str) -> InterfaceName | None:
        """None when ``text`` is no interface name."""
        path, at, version = text.partition("@")
        if at and Version.try_parse(version) is None:
            return None
        *spaces, rest = path.split(":")
        package, *projections = rest.split("/")
        if not spaces or not projections:
            return None
        if not all(_WORDS.fullmatch(part) for part in (*spaces, package)):
            return None
        if not all(is_label(part) for part in projections):
            return None
        whole_package = "/".join((package, *projections[:-1]))
        return InterfaceName(":".join(spaces), whole_package, projections[-1], version or None)

    @staticmethod
    def parse(text: str) -> InterfaceName:
        """Raises PatternError when ``text`` is no interface name."""
        name = InterfaceName.try_parse(text)
        if name is None:
            raise PatternError("expected an interface such as wasi:http/types@0.2.3", text, 0)
        return name

    @property
    def path(self) -> str:
        """The name without its version."""
        return f"{self.namespace}:{self.package}/{self.interface}"

    @property
    def package_id(self) -> str:
        """The package with its version, as a WIT ``package`` line writes it."""
        return f"{self.namespace}:{self.package}" + (f"@{self.version}" if self.version else "")

    def __str__(self) -> str:
        return self.path + (f"@{self.version}" if self.version else "")


class FuncName(NamedTuple):
    """A name a function goes by: ``interface`` without its version, "" for the world itself, or
    the plain name of an instance; ``func`` a label (see :func:`func_label`)."""

    interface: str
    version: str | None
    func: str

    def __str__(self) -> str:
        whole = f"{self.interface}@{self.version}" if self.version else self.interface
        return f"{whole}#{self.func}" if whole else self.func


@dataclass(frozen=True, slots=True)
class ExternNameParts:
    """An import or export name taken apart.

    ``kind``: label, constructor, method, static, interface, dependency, url, hash. ``label`` is the
    function, method or plain name (None for a constructor and for the last four kinds, whose text
    within the brackets is ``target``). ``is_async``: the older ``[async …]`` annotation.
    """

    text: str
    kind: str
    label: str | None = None
    resource: str | None = None
    interface: InterfaceName | None = None
    target: str | None = None
    is_async: bool = False

    @staticmethod
    def try_parse(text: str) -> ExternNameParts | None:
        """None when ``text`` is no extern name."""
        if is_label(text):
            return ExternNameParts(text, "label", text)
        annotated = _ANNOTATED.fullmatch(text)
        if annotated:
            return _annotated(text, annotated[1], annotated[2])
        bracketed = _BRACKETED.fullmatch(text)
        if bracketed:
            return ExternNameParts(text, _BRACKETED_KINDS[bracketed[1]], target=bracketed[2])
        interface = InterfaceName.try_parse(text)
        return ExternNameParts(text, "interface", interface=interface) if interface else None

    @staticmethod
    def parse(text: str) -> ExternNameParts:
        """Raises PatternError when ``text`` is no extern name."""
        parts = ExternNameParts.try_parse(text)
        if parts is None:
            raise PatternError("not a name the component model knows", text, 0)
        return parts


def _annotated(text: str, annotation: str, rest: str) -> ExternNameParts | None:
    is_async = annotation.startswith("async")
    kind = annotation.removeprefix("async").strip() or "label"
    labels = rest.split(".")
    if len(labels) != (2 if kind in ("method", "static") else 1):
        return None
    if not all(is_label(label) for label in labels):
        return None
    if kind == "label":
        return ExternNameParts(text, kind, rest, is_async=is_async)
    label = None if kind == "constructor" else labels[1]
    return ExternNameParts(text, kind, label, labels[0], is_async=is_async)


def func_label(name: str) -> str:
    """``[method]r.m`` and ``[static]r.m`` → ``r.m``, ``[constructor]r`` → ``r.new``,
    ``[resource-drop]r`` → ``r.drop``; every other name stays as it is."""
    dropped = _DROP.fullmatch(name)
    if dropped:
        return f"{dropped[1]}.drop"
    found = _ANNOTATED.fullmatch(name)
    if not found:
        return name
    return f"{found[2]}.new" if found[1].endswith("constructor") else found[2]


@dataclass(frozen=True, slots=True)
class Alternative:
    """One of the interfaces of a pattern; ``version`` None: any."""

    interface: Glob
    version: VersionPattern | None


@dataclass(frozen=True, slots=True)
class FunctionGlob:
    """``glob`` between two fixed texts; ``raw``: the annotation it was written with."""

    glob: Glob
    prefix: str = ""
    suffix: str = ""
    raw: str = ""

    def fullmatch(self, label: str) -> bool:
        fixed = len(self.prefix) + len(self.suffix)
        if not fixed:
            return self.glob.fullmatch(label)
        if len(label) < fixed or not label.startswith(self.prefix):
            return False
        end = len(label) - len(self.suffix)
        return label.endswith(self.suffix) and self.glob.fullmatch(label[len(self.prefix) : end])


@dataclass(frozen=True, slots=True)
class ItemPattern:
    """``interface[@version]#function``: which functions of which interfaces are meant.

    Both sides take globs and ``|``; a version belongs to its own alternative, and an alternative
    that is only a version repeats the interface before it (``wasi:io/*@0.2|0.3``). No ``#`` or an
    empty function: every function. An empty interface is the world itself. Functions are written
    ``func``, ``resource.method``, ``resource.new``, ``resource.drop`` or in raw form
    (``[method]resource.method``).
    """

    text: str
    alternatives: tuple[Alternative, ...]
    #: None: every function.
    functions: tuple[FunctionGlob, ...] | None

    @staticmethod
    def parse(text: str) -> ItemPattern:
        """Raises PatternError (a UsageError) with the position of the mistake."""
        (_, left), *rights = split_top(text, "#")
        if len(rights) > 1:
            raise PatternError('more than one "#"', text, rights[1][0] - 1)
        alternatives: list[Alternative] = []
        for position, part in split_top(left, "|"):
            alternatives.append(_alternative(text, part, position, alternatives))
        position, function = rights[0] if rights else (len(text), "")
        return ItemPattern(text, tuple(alternatives), _functions(text, function, position))

    def matches(self, interface: str, version: str | None, func: str) -> bool:
        """``interface`` is without a version, "" for the world; ``func`` a label or a raw name."""
        return self.matches_function(func) and self.matches_interface(interface, version)

    def matches_function(self, func: str) -> bool:
        """The function half of :meth:`matches`."""
        if self.functions is None:
            return True
        label = func_label(func)
        return any(one.fullmatch(label) for one in self.functions)

    def matches_interface(self, interface: str, version: str | None) -> bool:
        """The interface half of :meth:`matches`."""
        return any(
            a.interface.fullmatch(interface) and (a.version is None or a.version.matches(version))
            for a in self.alternatives
        )


_VERSION_ONLY = re.compile(r"[=^]?[0-9][^:/]*")


def _alternative(whole: str, part: str, position: int, before: list[Alternative]) -> Alternative:
    if before and before[-1].version is not None and _VERSION_ONLY.fullmatch(part):
        return Alternative(before[-1].interface, VersionPattern.parse(part, whole, position))
    interface, at, version = part.partition("@")
    glob = compile_glob(interface, whole, position)
    if not at:
        return Alternative(glob, None)
    start = position + len(interface) + 1
    return Alternative(glob, VersionPattern.parse(version, whole, start))


def _functions(whole: str, text: str, position: int) -> tuple[FunctionGlob, ...] | None:
    """Raw prefixes are cut off before the rest is read as a glob, where ``[…]`` is a class."""
    if not text:
        return None
    globs: list[FunctionGlob] = []
    for start, part in split_top(text, "|"):
        raw = _raw_prefix(part)
        glob = compile_glob(part[len(raw) :], whole, position + start + len(raw))
        suffix = {"[constructor]": ".new", "[resource-drop]": ".drop"}.get(
            raw.replace("async ", ""), ""
        )
        prefix = raw if raw in ("[resource-new]", "[resource-rep]") else ""
        globs.append(FunctionGlob(glob, prefix, suffix, raw))
    return tuple(globs)


_RAW = re.compile(
    r"\[(?:async|(?:async )?(?:constructor|method|static)|resource-(?:new|rep|drop))\]"
)


def _raw_prefix(part: str) -> str:
    found = _RAW.match(part)
    return found[0] if found else ""


def both_names(name: str, interface: str, version: str | None) -> str:
    """The name of an import or export; of one with a label, what it implements as well."""
    if not interface or name.partition("@")[0] == interface:
        return name
    return f"{name} (implements {interface}{f'@{version}' if version else ''})"

"""The component a script is for, as an editor wants it: functions by name, WIT, documentation."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from pathlib import Path

from whamm_cm.component import nodes as n
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import InputError
from whamm_cm.files import read
from whamm_cm.lang.tree import WitSite
from whamm_cm.weave.listing import Input, open_input
from whamm_cm.weave.scripting import as_seen
from whamm_cm.wit.known import INTERFACES, functions
from whamm_cm.wit.names import func_label
from whamm_cm.wit.printer import handles_text, world_text
from whamm_cm.wit.resolve import resolve

#: Comments at the head of a script that say what it is for.
_HEADER = re.compile(r"\s*(?://[ \t]*(?:(component|lib):[ \t]*(\S.*?)[ \t]*(?:\r?\n|$))?[^\n]*\n?)")
_DECLARED = r"^ *(?:record|variant|enum|flags|type|resource) {}\b(?:[^{{\n]*;|.*?^ *\}})"


@dataclass(frozen=True, slots=True)
class Header:
    """``components`` and ``libraries`` (``NAME=FILE``): text, and where it stands."""

    components: tuple[tuple[str, int], ...] = ()
    libraries: tuple[tuple[str, int], ...] = ()


def header(text: str) -> Header:
    """What the comments before the first item say: ``// component: app.wasm``."""
    found: dict[str, list[tuple[str, int]]] = {"component": [], "lib": []}
    at = 0
    while (comment := _HEADER.match(text, at)) and comment.end() > at:
        if comment[1]:
            found[comment[1]].append((comment[2], comment.start(2)))
            at = comment.end(2)
            at = text.find("\n", at) + 1 or len(text)
        else:
            at = comment.end()
    return Header(tuple(found["component"]), tuple(found["lib"]))


class Component:
    """What is in a component or core module.  ``sites``: its boundary functions."""

    def __init__(self, path: str, given: Input) -> None:
        self.path, self.given = path, given
        self.sites: tuple[WitSite, ...] = tuple(as_seen(site) for site in given.sites)

    @cached_property
    def functions(self) -> Mapping[str, Mapping[str, WitSite]]:
        """By interface, without versions, and then by name."""
        found: dict[str, dict[str, WitSite]] = {}
        for site in self.sites:
            if site.direction == "builtin":
                continue
            for interface, _, func in (*site.names, (site.interface, None, site.func)):
                found.setdefault(interface, {}).setdefault(func_label(func), site)
        return found

    @cached_property
    def wit(self) -> str:
        """Its world as WIT text; empty for a core module, and where that cannot be told."""
        if self.given.program is None:
            return ""
        try:
            return world_text(resolve(self.given.program.root).world)
        except InputError:
            return ""

    def declared(self, interface: str, name: str) -> str:
        """The declaration of a type of an interface, as WIT text; "" where there is none."""
        local = interface.rpartition("/")[2]
        start = re.search(rf"^ *interface %?{re.escape(local)} \{{$", self.wit, re.M)
        if start is None:
            return ""
        end = re.compile(r"^ {0,2}\}$", re.M).search(self.wit, start.end())
        block = self.wit[start.end() : end.start() if end else None]
        found = re.search(_DECLARED.format(re.escape(name)), block, re.M | re.S)
        return _dedented(found[0]) if found else ""

    @cached_property
    def docs(self) -> Mapping[str, object]:
        """The custom section ``package-docs``: documentation by interface and function."""
        if self.given.program is None:
            return {}
        for definition in self.given.program.root.definitions:
            node = definition.node
            if isinstance(node, n.Custom) and node.name == "package-docs":
                return _package_docs(bytes(node.data))
        return {}

    def doc(self, interface: str, func: str = "") -> str:
        """What the component says of an interface or a function of it; "" for nothing."""
        found = _get(_get(self.docs, "interfaces"), interface.rpartition("/")[2])
        if func:
            found = _first(_get(found, "funcs"), _labels(func))
        text = _get(found, "docs")
        return text if isinstance(text, str) else ""


def _package_docs(data: bytes) -> Mapping[str, object]:
    """A byte with the version, and JSON; nothing where it is broken."""
    try:
        found = json.loads(data[data.find(b"{") :])
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _get(found: object, name: str) -> object:
    return found.get(name) if isinstance(found, Mapping) else None


def _first(found: object, names: Iterator[str]) -> object:
    return next((one for one in (_get(found, name) for name in names) if one is not None), None)


def _labels(func: str) -> Iterator[str]:
    """``tcp-socket.bind`` as extern names have it."""
    yield func
    yield f"[method]{func}"
    yield f"[static]{func}"
    yield f"[constructor]{func.removesuffix('.new')}"


def _dedented(text: str) -> str:
    lines = text.splitlines()
    indent = min(len(line) - len(line.lstrip()) for line in lines)
    return "\n".join(line[indent:] for line in lines)


def opened(path: str) -> Component:
    """Raises InputError: missing, no regular file, neither a component nor a core module."""
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: {reason}") from None
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{path} is no file")
    return _opened(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=4)
def _opened(path: str, mtime: int, size: int) -> Component:
    return Component(path, open_input(read(path), Path(path).name))


# --- interfaces and functions, with a component or without ---------------------------------------


def interfaces(component: Component | None) -> dict[str, str]:
    """All that rules may name, and where it is from."""
    found: dict[str, str] = {}
    if component is not None:
        found |= {name: Path(component.path).name for name in component.functions if name}
    return found | {name: "known" for name in sorted(INTERFACES) if name not in found}


def functions_of(component: Component | None, interface: str) -> dict[str, WitSite | None]:
    """By name, those of the component first; None where nothing is known but the name."""
    found: dict[str, WitSite | None] = {}
    if component is not None:
        found |= component.functions.get(interface, {})
    return found | {name: None for name in sorted(functions(interface)) if name not in found}


def signature(name: str, site: WitSite) -> str:
    """``connect: func(…) -> …``"""
    return f"{name}: {handles_text(site.type)}"

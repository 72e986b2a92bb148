"""The facts of a verdict as another reader has them: ``wasm-tools component wit --json``.

Two programs that share no code and say the same about the imports and exports of a component are
harder to fool than one.  What is compared: which imports and exports there are, of what kind, the
interfaces with their versions, and their functions.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import InputError, UsageError
from whamm_cm.files import read
from whamm_cm.gate.model import ExportRow, ImportRow, Subject
from whamm_cm.wit.names import func_label

TOOL = "wasm-tools"
#: Seconds for one component.
TIMEOUT = 120
#: Kinds that WIT has no word for: the handed out are findings of their own (WCM001), and values
#: are judged by their names.
_UNTOLD = ("module", "component", "value")
#: The world that wasm-tools makes up for a component; a WIT package has others.
_WORLD, _PACKAGE = "root", "root:component"


@dataclass(frozen=True, slots=True)
class Fact:
    """``way``: import or export.  ``kind``: instance func type.  ``interface`` is "" for what has
    a plain name; ``functions`` are labels, as in records."""

    way: str
    name: str
    kind: str
    interface: str
    version: str | None
    functions: frozenset[str]

    @property
    def key(self) -> tuple[str, str]:
        return self.way, self.name


def known(subject: Subject) -> list[Fact]:
    """What we say."""
    found = [
        _fact("import", row, (one.name for one in row.functions)) for row in subject.imports
    ] + [_fact("export", row, row.functions) for row in subject.exports]
    return [fact for fact in found if fact.kind not in _UNTOLD]


def _fact(way: str, row: ImportRow | ExportRow, functions: Iterable[str]) -> Fact:
    """Interfaces are what a name with a package is; a plain name stands for itself alone."""
    is_interface = row.kind == "instance" and "/" in row.interface
    names = frozenset(functions) if row.kind == "instance" else frozenset[str]()
    interface, version = (row.interface, row.version) if is_interface else ("", None)
    return Fact(way, row.name, row.kind, interface, version, names)


def told(document: Mapping[str, Any]) -> list[Fact] | None:
    """What wasm-tools says; None for a WIT package, which is no component to be run.  KeyError,
    TypeError, IndexError where it is of another form."""
    worlds = [one for one in document["worlds"] if one["name"] == _WORLD]
    for world in worlds:
        if document["packages"][world["package"]]["name"] == _PACKAGE:
            return [
                _told(way, key, item, document)
                for way in ("import", "export")
                for key, item in world[f"{way}s"].items()
            ]
    return None


def _told(way: str, key: str, item: Mapping[str, Any], document: Mapping[str, Any]) -> Fact:
    if "interface" not in item:
        kind = "func" if "function" in item else "type"
        return Fact(way, key, kind, "", None, frozenset())
    interface = document["interfaces"][item["interface"]["id"]]
    functions = frozenset(func_label(name) for name in interface["functions"])
    if interface["name"] is None:
        return Fact(way, key, "instance", "", None, functions)
    package, _, version = document["packages"][interface["package"]]["name"].partition("@")
    whole = f"{package}/{interface['name']}"
    is_label = key != f"interface-{item['interface']['id']}"
    name = key if is_label else f"{whole}@{version}" if version else whole
    return Fact(way, name, "instance", whole, version or None, functions)


def differences(subject: Subject, document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(item, what differs); nothing where both say the same."""
    theirs = told(document)
    if theirs is None:
        for row in subject.imports:
            yield row.name, f"{TOOL} takes it for a WIT package, which has no import {row.name}"
        return
    ours = {fact.key: fact for fact in known(subject)}
    other = {fact.key: fact for fact in theirs}
    for way, name in dict.fromkeys((*ours, *other)):
        mine, yours = ours.get((way, name)), other.get((way, name))
        if mine is None or yours is None:
            reader = TOOL if mine is None else "whamm-cm"
            yield name, f"only {reader} sees the {way} {name}"
        elif mine != yours and _merged(mine, ours.values()) != yours:
            yield name, f"the {way} {name} is {_shown(mine)}, and {_shown(yours)} to {TOOL}"


def _merged(fact: Fact, ours: Collection[Fact]) -> Fact:
    """An interface is one to wasm-tools, with all functions, however often it is imported,
    exported, and stands behind a label."""
    what = (fact.interface, fact.version)
    same = [one for one in ours if fact.interface and what == (one.interface, one.version)]
    return replace(fact, functions=fact.functions.union(*(one.functions for one in same)))


def _shown(fact: Fact) -> str:
    parts = [fact.kind, fact.interface, fact.version or "", ", ".join(sorted(fact.functions))]
    return " ".join(part for part in parts if part)


def check(
    tool: str, subject: Subject, path: str, data: bytes | None
) -> tuple[tuple[str, str], ...]:
    """(item, what differs); ``data`` None: the bytes are in the file.  InputError where that is no
    more what was judged."""
    if path == "-":
        raise InputError("standard input can be read once, so --cross-check needs a file")
    whole = read(path) if data is None else data
    if hashlib.sha256(whole).hexdigest() != subject.sha256:
        raise InputError(f"{path} changes while it is read")
    if subject.alone:
        return ()  # a core module has no types that could be read in two ways
    try:
        return tuple(differences(subject, ask(tool, whole, path)))
    except InputError as error:
        return ((TOOL, str(error)),)
    except (KeyError, TypeError, IndexError, AttributeError):
        return ((TOOL, f"{path}: {TOOL} answers in a form that this version does not know"),)


def locate() -> str:
    """Raises UsageError where wasm-tools is not on the path."""
    found = shutil.which(TOOL)
    if found is None:
        raise UsageError(f"--cross-check needs {TOOL} on the PATH; install it, or leave that out")
    return found


def ask(tool: str, data: bytes, what: str) -> dict[str, Any]:
    """What wasm-tools says of a component.  Raises InputError where it says nothing."""
    try:
        done = subprocess.run(
            [tool, "component", "wit", "--json"],
            input=data, capture_output=True, timeout=TIMEOUT, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"{what}: {TOOL} cannot be run: {error}") from None
    if done.returncode:
        lines = [line.strip() for line in done.stderr.decode(errors="replace").splitlines()]
        said = " ".join(line for line in lines if line)[:300]
        raise InputError(f"{what}: {TOOL} cannot read it ({said})")
    try:
        found = json.loads(done.stdout)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InputError(f"{what}: {TOOL} answers with something else than a JSON object")
    return found

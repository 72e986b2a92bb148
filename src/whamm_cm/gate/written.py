"""How names and values are written in a policy, and what to add to one so that it lets them pass.

Names come from the input: what is no name, or would be a glob of its own, is never written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from whamm_cm.gate.hosts import Host
from whamm_cm.gate.model import ImportRow
from whamm_cm.gate.permissions import Access, key_fault
from whamm_cm.wit.glob import escape_path
from whamm_cm.wit.names import InterfaceName, is_label
from whamm_cm.wit.semver import Version

#: What :func:`pattern` and :func:`exact` put around names.
_PUT_AROUND = re.compile(r"([^#]*?)(@[=^]?[0-9A-Za-z.+-]+)?(#(.*))?", re.S)
#: How core modules usually call things (``wit.shapes.CORE``).
_CORE = re.compile(r"[A-Za-z0-9_.$-]+")


def proper(text: str) -> bool:
    """Whether the names in ``text`` are names, and no globs of their own."""
    found = _PUT_AROUND.fullmatch(text)
    if found is None:
        return False
    name, func = found[1], found[4] or "*"
    functions = [] if func == "*" else func.removeprefix("{").removesuffix("}").split(",")
    core = ":" not in name
    if name and not is_name(name, core) and InterfaceName.try_parse(name) is None:
        return False
    return all(is_name(function, core) for function in functions)


def is_name(function: str, core: bool) -> bool:
    """``core``: it may also be what a core module calls something."""
    if core and _CORE.fullmatch(function):
        return True
    return all(map(is_label, function.split(".")))


def exact(item: str, version: str | None) -> str:
    """``wasi:io/poll@0.2.3`` → ``wasi:io/poll@^0.2``: whatever a host may link to it.  Drafts are
    only like themselves."""
    found = Version.try_parse(version) if version is not None else None
    if version is None or found is None:
        return item
    track = ".".join(map(str, found.track))
    return item.removesuffix(version) + (f"={version}" if found.pre or found.build else f"^{track}")


def pattern(interface: str, names: dict[str, bool]) -> str:
    functions = sorted(name for name in names if name)
    if not functions:
        return interface if ":" in interface else f"{interface}#*"
    text = functions[0] if len(functions) == 1 else "{" + ",".join(functions) + "}"
    return f"{interface}#{text}"


def flow(**entry: object) -> str:
    """A mapping on one line."""
    inside = ", ".join(f"{key}: {json.dumps(value)}" for key, value in entry.items())
    return f"{{ {inside} }}"


# What to add to a policy: the part of one that says it, to be merged into it


def import_allowed(row: ImportRow, functions: Iterable[str]) -> str:
    """``functions`` of an import, "" where no pattern can say which, or more than one name has to
    be allowed."""
    if row.odd:
        return ""
    names = dict.fromkeys(functions, True)
    text = f"#{row.name}" if row.kind == "func" else pattern(exact(row.item, row.version), names)
    return _listed("imports", "allow", json.dumps(text)) if proper(text) else ""


def host_allowed(host: Host, names: Iterable[str], lookup: bool) -> str:
    """By the names that were looked up, if any were; a lookup needs no port."""
    entries = []
    for name in tuple(names) or (host.name or str(host.address),):
        port = {} if host.port is None or lookup else {"ports": [host.port]}
        entries.append(flow(host=name, **port))
    return _permitted("network", entries)


def path_allowed(paths: Iterable[str], access: Access) -> str:
    """Every reading of a path."""
    entries = [flow(uri=f"fs://{escape_path(path)}", access=[access]) for path in paths]
    return _permitted("storage", entries)


def key_allowed(key: str) -> str:
    """ "" for what no key can be called."""
    return "" if key_fault(key) else _permitted("environment", [flow(key=key)])


def rule_set(rule: str, **numbers: int) -> str:
    return f"rules:\n  {rule}: {flow(**numbers)}\n"


def budget_set(item: str, name: str, number: float) -> str:
    return f"budgets:\n  {json.dumps(item)}: {flow(**{name: number})}\n"


def _permitted(section: str, entries: Iterable[str]) -> str:
    lines = "".join(f"      - {entry}\n" for entry in entries)
    return f"permissions:\n  {section}:\n    allow:\n{lines}"


def _listed(section: str, key: str, entry: str) -> str:
    return f"{section}:\n  {key}:\n    - {entry}\n"

"""The tightest policy that a component and the logs of its runs need: record, review, enforce.

Names come from the input, so every text is written as a JSON string, which YAML reads as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from whamm_cm.gate.evidence import Evidence
from whamm_cm.gate.model import ExportRow, Subject
from whamm_cm.gate.uses import Uses
from whamm_cm.render.wave import printable
from whamm_cm.trace.calls import Site

#: So many paths in one directory become the directory.
_MANY = 20

_Functions = dict[str, dict[str, bool]]


def suggest(subject: Subject | None, evidence: Evidence | None) -> str:
    """``subject``: allow what it can reach, and require what it exports. ``evidence``: allow the
    values seen; without a subject also only the functions seen.  One of them is not None."""
    lines = ["version: 1", f"judge: {'observed' if subject is None else 'reachable'}", "imports:"]
    functions = _observed(evidence) if subject is None else _reachable(subject)
    lines += ["  default: deny", "  allow:" + ("" if functions else " []")]
    told = evidence is not None and evidence.records > 0
    for interface, names in sorted(functions.items()):
        lines.append(f"    - {json.dumps(_pattern(interface, names))}")
        unseen = [name for name, seen in names.items() if not seen]
        if subject is not None and told and unseen and any(names):
            shown = ", ".join(unseen) if len(unseen) < len(names) else "none of it"
            verb = "not observed" if len(unseen) < len(names) else "was observed"
            lines[-1] += f"  # {printable(shown)} {verb}"
    if subject is not None and subject.exports:
        lines += ["exports:", "  require:"]
        lines += [f"    - {json.dumps(_export(row))}" for row in subject.exports]
    if evidence is not None and told:
        lines += _permissions(evidence.uses)
    return "".join(f"{line}\n" for line in lines)


def _reachable(subject: Subject) -> _Functions:
    """interface@version → function → whether it was seen."""
    found: _Functions = {}
    for row in subject.imports:
        if row.kind not in ("instance", "type", "func"):
            found.setdefault(_exact(row.item, row.version), {})[""] = False
        for function in row.functions:
            if function.reachable or function.observed:
                key = "" if row.kind == "func" else _exact(row.item, row.version)
                found.setdefault(key, {})[function.name] = bool(function.observed)
    return found


def _observed(evidence: Evidence | None) -> _Functions:
    found: _Functions = {}
    for site in evidence.observed.counts() if evidence is not None else ():
        if site.edge == "import" and not site.func.endswith(".drop"):
            found.setdefault(_site(site), {})[site.func] = True
    return found


def _site(site: Site) -> str:
    whole = f"{site.interface}@{site.version}" if site.version else site.interface
    return _exact(whole, site.version or None)


def _exact(item: str, version: str | None) -> str:
    """``wasi:io/poll@0.2.3`` → ``wasi:io/poll@=0.2.3``"""
    return item if version is None else item.removesuffix(version) + f"={version}"


def _pattern(interface: str, names: dict[str, bool]) -> str:
    functions = sorted(name for name in names if name)
    if not functions:
        return interface
    text = functions[0] if len(functions) == 1 else "{" + ",".join(functions) + "}"
    return f"{interface}#{text}"


def _export(row: ExportRow) -> str:
    """Functions of the world stand behind the ``#``."""
    return f"#{row.item}" if row.kind == "func" else row.item


# values


def _permissions(uses: Uses) -> Iterator[str]:
    yield "permissions:"
    sections = (
        ("network", _network(uses)),
        ("storage", _storage(uses)),
        ("environment", [_flow(key=key) for key in sorted({key for key, _ in uses.keys})]),
    )
    for name, entries in sections:
        yield f"  {name}:"
        yield "    allow:" + ("" if entries else " []")
        yield from (f"      - {entry}" for entry in entries)
        for one in uses.unclear:
            if one.about == name:
                yield f"    # {printable(one.how)}: {printable(one.why)}"


def _flow(**entry: object) -> str:
    inside = ", ".join(f"{key}: {json.dumps(value)}" for key, value in entry.items())
    return f"{{ {inside} }}"


def _network(uses: Uses) -> list[str]:
    """Hosts by name where a lookup tells it.  Lookups alone need no port."""
    ports: dict[str, set[int]] = {}
    for endpoint in uses.endpoints:
        host = endpoint.host
        names = endpoint.names or (host.name or str(host.address),)
        for name in names:
            known = ports.setdefault(name, set())
            if host.port is not None:
                known.add(host.port)
            elif not endpoint.how.endswith("#resolve-addresses"):
                known.add(0)
    found = []
    for name, numbers in sorted(ports.items()):
        if numbers and 0 not in numbers:
            found.append(_flow(host=name, ports=sorted(numbers)))
        else:
            found.append(_flow(host=name))
    return found


def _storage(uses: Uses) -> list[str]:
    access: dict[str, set[str]] = {}
    for use in uses.files:
        for path in use.paths:
            access.setdefault(path, set()).add(use.access)
    by_folder: dict[str, list[str]] = {}
    for path in access:
        by_folder.setdefault(path.rpartition("/")[0], []).append(path)
    merged: dict[str, set[str]] = {}
    for folder, paths in by_folder.items():
        for path in paths:
            target = f"{folder}/**" if len(paths) > _MANY else path
            merged.setdefault(target, set()).update(access[path])
    return [
        _flow(uri=f"fs://{path}", access=sorted(words)) for path, words in sorted(merged.items())
    ]

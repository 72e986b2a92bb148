"""The tightest policy that a component and the logs of its runs need: record, review, enforce.

Names come from the input, so every text is written as a JSON string, which YAML reads as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from whamm_cm.gate.evidence import Evidence
from whamm_cm.gate.model import ExportRow, Subject
from whamm_cm.gate.permissions import key_fault
from whamm_cm.gate.uses import Uses
from whamm_cm.gate.written import exact, flow, is_name, pattern, proper
from whamm_cm.render.safe import printable
from whamm_cm.trace.calls import Site
from whamm_cm.wit.glob import escape_path

#: So many paths in one directory become the directory.
_MANY = 20

_Functions = dict[str, dict[str, bool]]


def suggest(subject: Subject | None, evidence: Evidence | None) -> str:
    """``subject``: allow what it can reach, and require what it exports. ``evidence``: allow the
    values seen; without a subject also only the functions seen.  One of them is not None.

    What was asked for and refused is named, and not allowed."""
    lines = ["version: 1", f"judge: {'observed' if subject is None else 'reachable'}"]
    if evidence is not None and not evidence.vouched:
        lines.insert(0, "# The guest could write to the log this is made of: read it with care.")
    told = evidence is not None and evidence.records > 0
    if subject is None:
        lines += _allowed(_observed(evidence), False)
    else:
        lines += _allowed(_reachable(subject), told)
        if subject.exports:
            lines += ["exports:", "  require:"]
            lines += _entries(_export(row) for row in subject.exports)
    if evidence is not None and told:
        lines += _permissions(evidence.uses)
    return "".join(f"{line}\n" for line in lines)


def _allowed(functions: _Functions, told: bool) -> list[str]:
    """The section ``imports``; ``told``: say what was not seen."""
    entries: list[str] = []
    for interface, every in sorted(functions.items()):
        names = {
            name: seen
            for name, seen in every.items()
            if not name or is_name(name, ":" not in interface)
        }
        entries += [_unsayable(f"{interface}#{name}") for name in every if name not in names]
        if not names:
            continue
        (entry,) = _entries([pattern(interface, names)])
        unseen = [name for name, seen in names.items() if not seen]
        if told and unseen and any(names):
            shown = ", ".join(unseen) if len(unseen) < len(names) else "none of it"
            verb = "not observed" if len(unseen) < len(names) else "was observed"
            entry += f"  # {printable(shown)} {verb}"
        entries.append(entry)
    some = any(entry.lstrip().startswith("- ") for entry in entries)
    return ["imports:", "  default: deny", "  allow:" + ("" if some else " []"), *entries]


def _entries(texts: Iterable[str]) -> list[str]:
    """Lines of a list.  A name that no pattern can have, or that is one, is named and not on it."""
    found = []
    for text in texts:
        if proper(text):
            found.append(f"    - {json.dumps(text)}")
        else:
            found.append(_unsayable(text))
    return found


def _unsayable(text: str) -> str:
    return f"    # {printable(text)}: no policy can allow such a name"


def _reachable(subject: Subject) -> _Functions:
    """interface@version → function → whether it was seen."""
    found: _Functions = {}
    for row in subject.imports:
        if row.kind not in ("instance", "type", "func"):
            found.setdefault(exact(row.item, row.version), {})[""] = False
        for function in row.functions:
            if function.reachable or function.observed:
                key = "" if row.kind == "func" else exact(row.item, row.version)
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
    return exact(whole, site.version or None)


def _export(row: ExportRow) -> str:
    """Functions of the world stand behind the ``#``, other plain names before it."""
    if row.kind == "func":
        return f"#{row.item}"
    return row.item if ":" in row.item else f"{row.item}#*"


# values


def _permissions(uses: Uses) -> Iterator[str]:
    yield "permissions:"
    keys = sorted({key for key, _ in uses.keys})
    sections = (
        ("network", _network(uses)),
        ("storage", _storage(uses)),
        ("environment", [flow(key=key) if key_fault(key) is None else f"# {key}" for key in keys]),
    )
    for name, entries in sections:
        allowed = [entry for entry in entries if not entry.startswith("# ")]
        yield f"  {name}:"
        yield "    allow:" + ("" if allowed else " []")
        for entry in entries:
            yield f"      - {entry}" if entry in allowed else f"    {printable(entry)}"
        for one in uses.unclear:
            if one.about == name:
                yield f"    # {printable(one.how)}: {printable(one.why)}"


def _network(uses: Uses) -> list[str]:
    """Hosts by name where a lookup tells it.  Lookups alone need no port."""
    ports: dict[str, set[int]] = {}
    refused: dict[str, None] = {}
    unanswered = uses.unanswered()
    for endpoint in uses.endpoints:
        host = endpoint.host
        names = endpoint.names or (host.name or str(host.address),)
        if uses.refused(endpoint):
            refused[f"# {endpoint.host} was refused by {endpoint.how}"] = None
            continue
        if endpoint in unanswered:
            refused[f"# {endpoint.host}: {endpoint.how} asked for it, and got no answer"] = None
            continue
        for name in names:
            known = ports.setdefault(name, set())
            if host.port is not None:
                known.add(host.port)
            elif not endpoint.how.endswith("#resolve-addresses"):
                known.add(0)
    found = []
    for name, numbers in sorted(ports.items()):
        if numbers and 0 not in numbers:
            found.append(flow(host=name, ports=sorted(numbers)))
        else:
            found.append(flow(host=name))
    return [*found, *refused]


def _storage(uses: Uses) -> list[str]:
    """The paths as globs, in which their own ``*`` are escaped."""
    access: dict[str, set[str]] = {}
    refused: dict[str, None] = {}
    unanswered = uses.unanswered()
    for use in uses.files:
        if uses.refused(use):
            refused[f"# {use.access} of fs://{use.paths[0]} was refused by {use.how}"] = None
            continue
        if use in unanswered:
            asked = f"{use.how} asked for it, and got no answer"
            refused[f"# {use.access} of fs://{use.paths[0]}: {asked}"] = None
            continue
        for path in use.paths:
            access.setdefault(path, set()).add(use.access)
    by_folder: dict[str, list[str]] = {}
    for path in access:
        by_folder.setdefault(path.rpartition("/")[0], []).append(path)
    merged: dict[str, set[str]] = {}
    for folder, paths in by_folder.items():
        for path in paths:
            many = len(paths) > _MANY
            target = f"{escape_path(folder)}/**" if many else escape_path(path)
            merged.setdefault(target, set()).update(access[path])
    found = [
        flow(uri=f"fs://{path}", access=sorted(words)) for path, words in sorted(merged.items())
    ]
    return [*found, *refused]

"""SARIF 2.1.0, for code scanning.

A .wasm has no lines: results point at the line of the policy or manifest that decides, and name the
interface or function as a logical location.  Results without such a line point at the component.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from whamm_cm.gate.model import ComponentReport, Finding, Location, Report
from whamm_cm.gate.rules import RULES

_Json = dict[str, Any]

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def render(report: Report) -> str:
    pairs = [(one, found) for one in report.components for found in one.findings]
    pairs_all: list[tuple[ComponentReport | None, Finding]] = [*pairs]
    pairs_all += [(None, found) for found in report.findings]
    used = sorted({found.rule for _, found in pairs_all})
    run: _Json = {
        "tool": {
            "driver": {
                "name": "whamm-cm",
                "version": report.version,
                "semanticVersion": _semantic(report.version),
                "rules": [_rule(rule) for rule in used],
            }
        },
        "invocations": [_invocation(report)],
        "columnKind": "unicodeCodePoints",
        "artifacts": [
            {
                "location": {"uri": uri(one.path)},
                "length": one.subject.size,
                "hashes": {"sha-256": one.subject.sha256},
                **({"properties": {"image": one.image}} if one.image else {}),
            }
            for one in report.components
        ],
        "results": [_result(used, one, found) for one, found in pairs_all],
    }
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=2) + "\n"


def _invocation(report: Report) -> _Json:
    notes = [
        {
            "level": "error",
            "message": {"text": one.message},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri(one.path)}}}],
        }
        for one in report.unjudged
    ]
    found: _Json = {"executionSuccessful": not notes}
    return {**found, "toolExecutionNotifications": notes} if notes else found


def _semantic(version: str) -> str:
    """Python's ``0.2.0.dev1`` is ``0.2.0-dev1`` in semver."""
    parts = version.split(".")
    return ".".join(parts[:3]) + (f"-{'.'.join(parts[3:])}" if parts[3:] else "")


def _rule(rule_id: str) -> _Json:
    rule = RULES[rule_id]
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.name.split("-")),
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": rule.help},
        "help": {"text": f"{rule.help} {rule.fix}"},
        "defaultConfiguration": {"level": rule.severity},
        "properties": {"tags": ["security", "webassembly"]},
    }


def _result(used: list[str], component: ComponentReport | None, found: Finding) -> _Json:
    where = found.location
    physical = _physical(where) if where is not None else None
    if physical is None and component is not None:
        physical = {"artifactLocation": {"uri": uri(component.path)}}
    location: _Json = {} if physical is None else {"physicalLocation": physical}
    location["logicalLocations"] = [
        {"name": found.item, "fullyQualifiedName": f"{found.component}: {found.item}"}
    ]
    result: _Json = {
        "ruleId": found.rule,
        "ruleIndex": used.index(found.rule),
        "level": found.severity,
        "message": {"text": f"{found.component}: {found.message}" if component else found.message},
        "locations": [location],
        "partialFingerprints": {"whammCm/v1": found.fingerprint},
        "baselineState": "unchanged" if found.known else "new",
    }
    if found.waived is not None:
        waiver = found.waived
        owner = f" ({waiver.owner})" if waiver.owner else ""
        text = f"{waiver.reason}{owner}, until {waiver.expires}"
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": text}]
    return result


def _physical(where: Location) -> _Json | None:
    if where.file.startswith("profile "):
        return None
    region = {"startLine": where.line, "startColumn": where.column}
    return {"artifactLocation": {"uri": uri(where.file)}, "region": region}


def uri(path: str) -> str:
    """A path as a relative (or file) URI, as GitHub wants it."""
    text = path.replace("\\", "/").removeprefix("./")
    if text == "-":
        text = "stdin"
    quoted = quote(text, safe="/:@!$&'()*+,;=~-._" if "://" in text else "/@!$&'()*+,;=~-._")
    return f"file://{quoted}" if text.startswith("/") else quoted

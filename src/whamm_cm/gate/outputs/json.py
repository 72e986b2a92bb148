"""The report as one JSON document, an input for other programs (OPA, conftest).

Keys are sorted.  They are added, never renamed, while ``schema`` is ``whamm-cm/report/v1``:

    {"schema", "tool": {"name", "version"}, "policy": file or null, "fail_on", "verdict",
     "counts": {"error", "warning", "note", "waived", "baseline"},
     "components": [{"path", "name", "sha256", "image": digest or null, "size", "modules",
         "language", "producers", "instrumented": bool, "guard": what holds it to
         the policy or null,
         "imports": [{"name", "kind", "interface", "version", "functions":
             [{"name", "raw", "declared": true, "reachable": bool, "observed": calls or null}]}],
         "exports": [{"name", "kind", "interface", "version", "functions": [name]}],
         "nested": [{"path", "name", "instances", "imports": as above, and "providers": [{"kind",
             "component", "item"}] in each function}],
         "findings": [FINDING]}],
     "unjudged": [{"path", "message"}],
     "findings": [FINDING]}

A FINDING has ``rule name severity component item message fix fingerprint``, ``location`` (``file
line column`` or null), ``waived`` (``reason expires owner`` or null), ``baseline`` (bool),
``allow`` (the part of a policy or manifest that lets it pass, or null) and ``path`` ([{"kind",
"name"}]: a shortest way from an export to what it is about, or null).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from whamm_cm.gate.model import (
    SCHEMA,
    ComponentReport,
    Finding,
    FunctionRow,
    ImportRow,
    Report,
    Subject,
    way_to,
)

_Json = dict[str, Any]


def render(report: Report) -> str:
    return json.dumps(document(report), indent=2, sort_keys=True) + "\n"


def document(report: Report) -> _Json:
    return {
        "schema": SCHEMA,
        **head(report),
        "components": [component(one) for one in report.components],
        "findings": [finding(one) for one in report.findings],
    }


def head(report: Report) -> _Json:
    """What is about the run as a whole."""
    return {
        "tool": {"name": "whamm-cm", "version": report.version},
        "policy": report.policy or None,
        "fail_on": report.fail_on or "never",
        "verdict": report.verdict,
        "counts": {
            "error": report.count("error"),
            "warning": report.count("warning"),
            "note": report.count("note"),
            "waived": report.waived,
            "baseline": report.known,
        },
        "unjudged": [{"path": one.path, "message": one.message} for one in report.unjudged],
    }


def component(one: ComponentReport) -> _Json:
    subject = one.subject
    return {
        "path": one.path,
        "name": one.name,
        "sha256": subject.sha256,
        "image": one.image or None,
        "size": subject.size,
        "modules": subject.modules,
        "language": subject.language or None,
        "producers": [
            {"field": field, "name": name, "version": version}
            for field, name, version in subject.producers
        ],
        "instrumented": subject.stamp is not None,
        "guard": one.guard or None,
        "imports": [_import(row, _function) for row in subject.imports],
        "exports": [
            {
                "name": row.name,
                "kind": row.kind,
                "interface": row.interface or None,
                "version": row.version,
                "functions": list(row.functions),
            }
            for row in subject.exports
        ],
        "nested": [
            {
                "path": inside.path,
                "name": inside.name,
                "instances": inside.instances,
                "imports": [_import(row, _given) for row in inside.imports],
            }
            for inside in subject.nested
        ],
        "findings": [finding(found, subject) for found in one.findings],
    }


def _import(row: ImportRow, function: Callable[[FunctionRow], _Json]) -> _Json:
    return {
        "name": row.name,
        "kind": row.kind,
        "interface": row.interface or None,
        "version": row.version,
        "functions": [function(one) for one in row.functions],
    }


def _function(function: FunctionRow) -> _Json:
    return {
        "name": function.name,
        "raw": function.raw,
        "declared": True,
        "reachable": function.reachable,
        "observed": function.observed,
    }


def _given(function: FunctionRow) -> _Json:
    """Of a component inside, where it is the question who provides it."""
    providers = [
        {"kind": one.kind, "component": one.component or None, "item": one.item or None}
        for one in function.providers
    ]
    return {**_function(function), "providers": providers}


def finding(found: Finding, subject: Subject | None = None) -> _Json:
    """``subject``: what it is about; None for the policy."""
    location, waived = found.location, found.waived
    _, way = way_to(found, subject)
    return {
        "rule": found.rule,
        "name": found.name,
        "severity": found.severity,
        "component": found.component,
        "item": found.item,
        "message": found.message,
        "fix": found.fix,
        "functions": list(found.parts),
        "fingerprint": found.fingerprint,
        "fingerprints": list(found.fingerprints.values()),
        "baseline": found.known,
        "allow": found.allow or None,
        "path": [{"kind": kind, "name": name} for kind, name in way] or None,
        "location": None
        if location is None
        else {"file": location.file, "line": location.line, "column": location.column},
        "waived": None
        if waived is None
        else {
            "reason": waived.reason,
            "expires": waived.expires.isoformat(),
            "owner": waived.owner or None,
        },
    }

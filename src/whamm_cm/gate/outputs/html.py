"""A page of the verdict: one HTML file, to be kept with the build and looked at.

``model["gate"]`` of the page:

    {as the head of the JSON report, and "summary",
     "components": [{"path", "name", "sha256", "image", "size", "modules", "language", "counts":
         [declared, reachable, observed or null], "imports": [[name, kind, [[function, reachable,
         observed or null]]]]}],
     "findings": [{as in the JSON report without its fingerprints and functions, "of": position of
         the component or -1 for the policy, "fails": bool, "state": in words, "quote": the line of
         the policy, "to": the function that the path leads to, "paths": how many there are,
         "target": file to edit, "allow", "waiver", "why"}]}
"""

from __future__ import annotations

from typing import Any

from whamm_cm.gate.model import ComponentReport, Finding, Report, fails
from whamm_cm.gate.outputs import json
from whamm_cm.gate.outputs.acting import Helper
from whamm_cm.gate.outputs.table import counts, state, summary
from whamm_cm.render.page.bundle import page

_Json = dict[str, Any]


def render(report: Report) -> str:
    model = {
        "v": 1,
        "kind": "gate",
        "title": f"gate: {report.verdict}",
        "by": f"whamm-cm {report.version}",
        "gate": gate_model(report),
    }
    return "".join(page(model))


def gate_model(report: Report) -> _Json:
    helper = Helper(report)
    found = [
        _finding(report, helper, at, one, each)
        for at, one in enumerate(report.components)
        for each in one.findings
    ]
    found += [_finding(report, helper, -1, None, each) for each in report.findings]
    return {
        **json.head(report),
        "summary": summary(report),
        "components": [_component(one) for one in report.components],
        "findings": found,
    }


def _component(one: ComponentReport) -> _Json:
    subject = one.subject
    return {
        "path": one.path,
        "name": one.name,
        "sha256": subject.sha256,
        "image": one.image,
        "size": subject.size,
        "modules": subject.modules,
        "language": subject.language,
        "counts": counts(one),
        "imports": [
            [row.label, row.kind, [[f.name, f.reachable, f.observed] for f in row.functions]]
            for row in subject.imports
        ],
    }


def _finding(
    report: Report, helper: Helper, at: int, one: ComponentReport | None, found: Finding
) -> _Json:
    subject = None if one is None else one.subject
    row = json.finding(found, subject)
    for name in ("fingerprint", "fingerprints", "functions"):
        del row[name]
    aid = helper.of(one, found)
    return {
        **row,
        "of": at,
        "fails": fails(found, report.fail_on),
        "state": state(found).strip(),
        "quote": aid.quote,
        "to": aid.to,
        "paths": aid.ways,
        "target": aid.target,
        "allow": aid.allow,
        "waiver": aid.waiver,
        "why": aid.why,
    }

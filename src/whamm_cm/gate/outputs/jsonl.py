"""JSON lines: a component each as it is done, then the verdict.

``{"type": "component", …}`` as in the JSON report, and ``{"type": "report", …}`` with its head and
the findings about the policy.
"""

from __future__ import annotations

import json

from whamm_cm.gate.model import SCHEMA, ComponentReport, Report
from whamm_cm.gate.outputs.json import component as component_json
from whamm_cm.gate.outputs.json import finding, head


def render(report: Report) -> str:
    return "".join(component(one) for one in report.components) + closing(report)


def component(one: ComponentReport) -> str:
    return _line({"type": "component", **component_json(one)})


def closing(report: Report) -> str:
    findings = [finding(one) for one in report.findings]
    return _line({"type": "report", "schema": SCHEMA, **head(report), "findings": findings})


def _line(value: dict[str, object]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":")) + "\n"

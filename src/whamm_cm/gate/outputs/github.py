"""Annotations of GitHub Actions: workflow commands, capped, with the rest as a count."""

from __future__ import annotations

from whamm_cm.gate.model import SEVERITIES, Finding, Report
from whamm_cm.gate.outputs.table import summary
from whamm_cm.render.safe import printable

#: GitHub shows this many annotations of a kind per step.
CAP = 10

_WORDS = {"error": "error", "warning": "warning", "note": "notice"}


def render(report: Report) -> str:
    unjudged = report.unjudged[:CAP]
    lines = [f"::error title=not judged::{_message(printable(one.message))}" for one in unjudged]
    for severity in SEVERITIES:
        found = [one for one in report.all() if one.severity == severity and one.counts]
        lines += [annotation(one) for one in found[:CAP]]
        if len(found) > CAP:
            lines.append(f"{len(found) - CAP} more of severity {severity} are not annotated")
    for component in report.components:
        digests = ", ".join(f"{key} {digest}" for key, digest in component.digests)
        lines.append(f"judged {printable(component.path)}: {digests}")
    return "".join(f"{line}\n" for line in (*lines, summary(report)))


def annotation(found: Finding) -> str:
    """``::error file=policy.yaml,line=8,col=3,title=WCM010 import-denied::message``"""
    properties = []
    if found.location is not None and not found.location.file.startswith("profile "):
        properties += [
            f"file={_property(found.location.file)}",
            f"line={found.location.line}",
            f"col={found.location.column}",
        ]
    properties.append(f"title={_property(f'{found.rule} {found.name}')}")
    who = f"{found.component}: " if found.component else ""
    lines = (f"{who}{found.message}", found.fix)
    text = _message("\n".join(printable(line) for line in lines if line))
    return f"::{_WORDS[found.severity]} {','.join(properties)}::{text}"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")

"""Markdown, for the step summary of GitHub Actions and comments on pull requests."""

from __future__ import annotations

import re

from whamm_cm.gate.model import ComponentReport, Finding, Report
from whamm_cm.gate.outputs.table import counts, state, summary
from whamm_cm.render.safe import printable

#: GitHub takes step summaries up to 1 MiB.
LIMIT = 1_000_000

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~@!&])")


def render(report: Report) -> str:
    lines = [f"## whamm-cm gate: {report.verdict}", "", summary(report), ""]
    for one in report.components:
        lines += _component(one)
    if report.unjudged:
        rows = [f"- {_text(one.message)}" for one in report.unjudged]
        lines += ["### Not judged", "", *rows, ""]
    if report.findings:
        lines += ["### Policy", "", *_table(report.findings)]
    return _capped(lines)


def _component(one: ComponentReport) -> list[str]:
    declared, reachable, observed = counts(one)
    seen = "" if observed is None else f", {observed} observed"
    image = f" (image `{one.image}`)" if one.image else ""
    lines = [
        f"### {_text(one.path)}",
        "",
        f"sha256 `{one.subject.sha256}`{image}, {one.subject.size:,} bytes; "
        f"{declared} functions imported, {reachable} reachable{seen}",
        "",
    ]
    return [*lines, *(_table(one.findings) if one.findings else ["No findings.", ""])]


def _table(findings: tuple[Finding, ...]) -> list[str]:
    lines = ["| severity | rule | item | message | where |", "|---|---|---|---|---|"]
    for found in findings:
        cells = (
            found.severity + state(found),
            f"{found.rule} {found.name}",
            found.item,
            found.message,
            str(found.location or ""),
        )
        lines.append(f"| {' | '.join(_text(cell) for cell in cells)} |")
    return [*lines, ""]


def _text(text: str) -> str:
    """Names come from the component: they must not become markup."""
    return _SPECIAL.sub(r"\\\1", printable(text))


def _capped(lines: list[str]) -> str:
    size, kept = 0, []
    for number, line in enumerate(lines):
        size += len(line.encode("utf-8", "surrogatepass")) + 1
        if size > LIMIT:
            kept.append(f"{len(lines) - number} more lines were left out.")
            break
        kept.append(line)
    return "".join(f"{line}\n" for line in kept)

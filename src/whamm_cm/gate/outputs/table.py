"""For people: a line per finding, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator

from whamm_cm.gate.model import ComponentReport, Finding, Report
from whamm_cm.render.safe import printable


def render(report: Report) -> str:
    lines = [line for one in report.components for line in component(one)]
    return "".join(f"{line}\n" for line in (*lines, *closing(report)))


def component(one: ComponentReport) -> Iterator[str]:
    """The lines about one component."""
    subject = one.subject
    parts = [f"{subject.size:,} bytes", _count(subject.modules, "core module")]
    if subject.language:
        parts.append(printable(subject.language))
    declared, reachable, observed = counts(one)
    seen = "" if observed is None else f", {observed} observed"
    yield f"{printable(one.path)}  sha256:{subject.sha256}  {', '.join(parts)}"
    if one.image:
        yield f"  image {one.image}"
    if one.guard:
        yield f"  {printable(one.guard)}"
    yield f"  {_count(declared, 'imported function')}, {reachable} reachable{seen}"
    for finding in one.findings:
        yield from _finding(finding)


def counts(one: ComponentReport) -> tuple[int, int, int | None]:
    """Declared, reachable and observed functions of the root."""
    rows = [function for _, function in one.subject.functions()]
    observed = None
    if any(row.observed is not None for row in rows):
        observed = sum(bool(row.observed) for row in rows)
    return len(rows), sum(row.reachable for row in rows), observed


def closing(report: Report) -> Iterator[str]:
    """What is about the policy, and the verdict."""
    for finding in report.findings:
        yield from _finding(finding)
    yield summary(report)


def _finding(finding: Finding) -> Iterator[str]:
    place = f"  {printable(str(finding.location))}" if finding.location else ""
    yield (
        f"  {finding.severity:<7}  {finding.rule} {finding.name}  {printable(finding.item)}"
        f"{place}{state(finding)}"
    )
    yield f"           {printable(finding.message)}"


def state(finding: Finding) -> str:
    if finding.waived is not None:
        return f"  (waived until {finding.waived.expires})"
    return "  (in the baseline)" if finding.known else ""


def summary(report: Report) -> str:
    """``2 errors, 1 warning, 1 waived. FAIL (--fail-on error)``"""
    errors = _count(report.count("error"), "error")
    warnings = _count(report.count("warning"), "warning")
    parts = [errors, warnings, _count(report.count("note"), "note")]
    if report.unjudged:
        parts.insert(0, f"{_count(len(report.unjudged), 'input')} not judged")
    if report.waived:
        parts.append(f"{report.waived} waived")
    if report.known:
        parts.append(f"{report.known} in the baseline")
    fail_on = report.fail_on or "never"
    return f"{', '.join(parts)}. {report.verdict.upper()} (--fail-on {fail_on})"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
